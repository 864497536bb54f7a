import copy
import inspect
import pickle

import pytest
from langchain_core import exceptions

from langchain_qwen_space import errors
from langchain_qwen_space.errors import QwenSpaceError

KINDS = [
    kind
    for _, kind in inspect.getmembers(errors, inspect.isclass)
    if issubclass(kind, QwenSpaceError)
]

TABLE = [
    (QwenSpaceError, (exceptions.LangChainException,), False),
    (errors.InvalidInputError, (exceptions.ModelInvalidRequestError, ValueError), False),
    (errors.UnknownModelError, (exceptions.ModelNotFoundError, ValueError), False),
    (errors.UnsupportedSpaceError, (exceptions.ModelInvalidRequestError,), False),
    (errors.SpaceNotFoundError, (exceptions.ModelNotFoundError,), False),
    (errors.SpaceAuthenticationError, (exceptions.ModelAuthenticationError,), False),
    (errors.SpacePermissionError, (exceptions.ModelPermissionDeniedError,), False),
    (errors.SpaceUnavailableError, (exceptions.ModelAPIError,), True),
    (errors.SpaceRateLimitError, (exceptions.ModelRateLimitError,), True),
    (errors.QueueFullError, (errors.SpaceRateLimitError,), True),
    (errors.SpaceConnectionError, (exceptions.ModelConnectionError,), True),
    (errors.StreamInterruptedError, (exceptions.ModelConnectionError,), True),
    (errors.SpaceTimeoutError, (exceptions.ModelTimeoutError, TimeoutError), True),
    (errors.ProtocolError, (exceptions.ModelAPIError,), True),
    (errors.GenerationError, (exceptions.ModelAPIError,), True),
    (errors.ContextTooLongError, (errors.GenerationError, exceptions.ContextOverflowError), False),
]


def filled(kind):
    return kind("what happened", partial="half", is_retryable=True, retry_after=1.5, status=503)


def test_the_table_has_every_error():
    assert {kind for kind, _, _ in TABLE} == set(KINDS)


@pytest.mark.parametrize(("kind", "also", "retryable"), TABLE)
def test_an_error_is_ours_and_langchains_at_once(kind, also, retryable):
    for each in (QwenSpaceError, exceptions.LangChainException, *also):
        with pytest.raises(each):
            raise kind("what happened")
    assert kind().is_retryable is retryable


@pytest.mark.parametrize("kind", KINDS)
def test_an_error_says_what_it_was_given(kind):
    error = filled(kind)
    assert str(error) == "what happened"
    assert error.partial == "half"
    assert error.retry_after == 1.5
    assert error.status == 503
    bare = kind()
    assert (str(bare), bare.partial, bare.retry_after, bare.status) == ("", "", None, None)


@pytest.mark.parametrize("kind", KINDS)
def test_whether_to_try_again_is_true_to_each_instance(kind):
    default = kind().is_retryable
    assert kind(is_retryable=True).is_retryable is True
    assert kind(is_retryable=False).is_retryable is False
    assert kind(is_retryable=None).is_retryable is default
    assert kind().is_retryable is default


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize("kind", KINDS)
def test_an_error_pickles_with_all_it_says(kind, protocol):
    for error in (filled(kind), kind("what happened", is_retryable=False), kind()):
        for again in (pickle.loads(pickle.dumps(error, protocol)), copy.deepcopy(error)):
            assert type(again) is kind
            assert again.args == error.args
            assert str(again) == str(error)
            assert vars(again) == vars(error)
            assert again.is_retryable is error.is_retryable


@pytest.mark.parametrize("kind", KINDS)
def test_an_error_takes_notes_and_causes(kind):
    error = filled(kind)
    error.add_note("more")
    assert pickle.loads(pickle.dumps(error)).__notes__ == ["more"]
    with pytest.raises(kind) as caught:
        raise error from OSError("cause")
    assert isinstance(caught.value.__cause__, OSError)


@pytest.mark.parametrize("kind", KINDS)
def test_an_error_says_what_it_is_for(kind):
    assert kind.__doc__
    assert kind.__doc__ != kind.__mro__[1].__doc__
