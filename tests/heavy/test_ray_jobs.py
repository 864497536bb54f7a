"""A job on a Ray cluster of two nodes on this machine, one of which dies in mid-job."""

import json
import signal
import subprocess
import time
from collections import Counter
from dataclasses import dataclass

import pytest
from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.runnables import RunnableLambda

from langchain_qwen_space import ChatQwenSpace
from langchain_qwen_space.errors import InvalidInputError
from langchain_qwen_space.jobs import BatchOptions, Job, run_batch
from langchain_qwen_space.local import LocalSpace
from tests.integration_tests.jobs.kills import batch_command

pytestmark = [
    pytest.mark.heavy,
    pytest.mark.timeout(300),
    pytest.mark.filterwarnings("ignore"),  # Ray's own
]
MEMORY = 100 * 2**20  # bytes of each node's object store


@pytest.fixture(scope="module", autouse=True)
def cluster(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        ray = pytest.importorskip("ray")
        from ray.cluster_utils import Cluster

        head = {"num_cpus": 1, "object_store_memory": MEMORY, "include_dashboard": False}
        nodes = Cluster(initialize_head=True, head_node_args=head)
        nodes.add_node(num_cpus=1, object_store_memory=MEMORY)
        yield nodes
        ray.shutdown()
        nodes.shutdown()


@dataclass(frozen=True)
class Call:
    """A call that the Space has had."""

    when: float
    under_way: int
    """How many there were when it began, itself included."""
    question: str


@pytest.fixture
def log(tmp_path):
    return tmp_path / "calls"


def calls(log):
    lines = [line.split(" ", 2) for line in log.read_text().splitlines()]
    return [Call(float(when), int(under_way), question) for when, under_way, question in lines]


@pytest.fixture
def space(log):
    path = str(log)

    def answer(system, history, query, model):
        import sys
        from pathlib import Path

        now = sys.__dict__.setdefault("calls under way", [])  # shared by the server's threads
        now.append(query)
        try:
            with Path(path).open("a") as file:
                file.write(f"{time.time()} {len(now)} {query}\n")
            if "fail" in query:
                raise RuntimeError("It fails.")
            time.sleep(0.2)
        finally:
            now.remove(query)
        yield f"You said: {query}"

    with LocalSpace(answer, concurrency=20, show_error=True) as space:
        yield space


def written(path, rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def read(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_a_node_that_dies_in_mid_job_loses_nothing_and_doubles_nothing(
    cluster, space, log, tmp_path
):
    prompts = [f"question {number}" for number in range(400)]
    source = written(
        tmp_path / "prompts.jsonl",
        [{"prompt": prompt, "n": n} for n, prompt in enumerate(prompts)],
    )
    output = tmp_path / "answers.jsonl"
    (node,) = cluster.worker_nodes
    alive = [True]

    def kill(progress):
        if progress.asked >= 100 and alive:
            alive.clear()
            cluster.remove_node(node, allow_graceful=False)

    options = BatchOptions(
        concurrency=8, engine="ray", ray_address=cluster.address, give_up_after=None
    )
    model = ChatQwenSpace(space=space.url)
    progress = run_batch(model, Job(source, output), options, on_progress=kill)
    cluster.add_node(num_cpus=1, object_store_memory=MEMORY)
    assert not alive
    assert (progress.answered, progress.failed, progress.asked) == (400, 0, 400)
    assert [(row["n"], row["text"]) for row in read(output)] == [
        (n, f"You said: {prompt}") for n, prompt in enumerate(prompts)
    ]
    made = calls(log)
    assert {call.question for call in made} == {*prompts}
    # The node died during calls, which were retried: those of its one worker.
    assert 1 <= len(made) - 400 <= 4
    assert max(call.under_way for call in made) <= 8


def test_results_and_errors_are_those_of_this_machine(cluster, space, tmp_path):
    rows = [
        {"prompt": "one"},
        {"prompt": "fail"},
        {"prompt": ""},
        {"messages": [{"role": "user", "content": "two"}], "more": {"kept": [1]}},
    ]
    source = written(tmp_path / "prompts.jsonl", rows)
    model = ChatQwenSpace(space=space.url, max_retries=0)
    found = []
    for engine in ("local", "ray"):
        job = Job(source, tmp_path / f"{engine}.jsonl")
        run_batch(model, job, BatchOptions(engine=engine, ray_address=cluster.address))
        found.append([{**row, "seconds": None} for row in read(tmp_path / f"{engine}.jsonl")])
    assert found[0] == found[1]
    assert [row["error_type"] for row in found[0]] == [
        None,
        "GenerationError",
        "InvalidInputError",
        None,
    ]


def test_one_limit_on_calls_a_minute_holds_for_the_cluster(cluster, space, log, tmp_path):
    source = written(tmp_path / "prompts.jsonl", [{"prompt": str(n)} for n in range(60)])
    options = BatchOptions(
        engine="ray", ray_address=cluster.address, ray_workers=2, max_calls_per_minute=600
    )
    run_batch(ChatQwenSpace(space=space.url), Job(source, tmp_path / "a.jsonl"), options)
    times = sorted(call.when for call in calls(log))
    assert len(times) == 60
    # Later than the workers' first calls, which are late, as they meet the Space for the first time.
    assert times[-1] - times[30] >= 29 * 0.1 - 0.3


def test_a_job_of_this_machine_continues_on_the_cluster(cluster, space, log, tmp_path):
    source = written(tmp_path / "prompts.jsonl", [{"prompt": str(n)} for n in range(30)])
    job, model = Job(source, tmp_path / "a.jsonl"), ChatQwenSpace(space=space.url)

    def stop(progress):
        if progress.asked == 10:
            raise InterruptedError

    with pytest.raises(InterruptedError):
        run_batch(model, job, BatchOptions(concurrency=1), on_progress=stop)
    progress = run_batch(model, job, BatchOptions(engine="ray", ray_address=cluster.address))
    assert progress.asked == 20
    asked = Counter(call.question for call in calls(log))
    assert asked == {str(n): 1 for n in range(30)}
    assert len(read(tmp_path / "a.jsonl")) == 30


def test_ctrl_c_ends_it_and_the_same_command_continues(cluster, space, log, tmp_path):
    source = written(tmp_path / "prompts.jsonl", [{"prompt": str(n)} for n in range(60)])
    output = tmp_path / "a.jsonl"
    command = batch_command(
        source, output, "--space", space.url, "--engine", "ray", "--ray-address", cluster.address
    )
    first = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    while not log.exists() or len(calls(log)) < 15:
        time.sleep(0.02)
        assert first.poll() is None
    first.send_signal(signal.SIGINT)
    _, told = first.communicate()
    assert first.returncode == 130, told
    assert "the same command resumes" in told
    second = subprocess.run(command, capture_output=True, text=True, check=False)
    assert second.returncode == 0, second.stderr
    assert [row["text"] for row in read(output)] == [f"You said: {n}" for n in range(60)]
    # Asked twice: what was under way or came next on the workers, or was on its way back from them.
    assert len(calls(log)) - 60 <= 3 * 8


def test_secrets_and_functions_travel_to_the_workers(cluster, tmp_path):
    model = ChatQwenSpace(space="a/b", hf_token="hf_secret", auth=("me", "word"))

    def tell(messages: list[BaseMessage]) -> AIMessage:
        auth = model.auth
        return AIMessage(f"{model.hf_token.get_secret_value()} {auth[1].get_secret_value()}")

    source = written(tmp_path / "prompts.jsonl", [{"prompt": "What is in the model?"}])
    output = tmp_path / "a.jsonl"
    options = BatchOptions(engine="ray", ray_address=cluster.address)
    run_batch(RunnableLambda(tell), Job(source, output), options)
    assert read(output)[0]["text"] == "hf_secret word"


def test_where_there_is_no_cluster_it_says_so(tmp_path):
    source = written(tmp_path / "prompts.jsonl", [{"prompt": "one"}])
    options = BatchOptions(engine="ray", ray_address="127.0.0.1:1")
    with pytest.raises(InvalidInputError, match=r"No Ray cluster can be reached at 127\.0\.0\.1:1"):
        run_batch(RunnableLambda(str), Job(source, tmp_path / "a.jsonl"), options)
