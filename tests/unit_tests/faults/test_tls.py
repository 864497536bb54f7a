"""A certificate that does not verify ends the call before anything is sent."""

import shutil
import ssl
import subprocess

import pytest

from langchain_qwen_space.errors import SpaceConnectionError
from tests.unit_tests.faults.calls import failure, model_for
from tests.unit_tests.faults.server import fault_server

pytestmark = pytest.mark.skipif(
    shutil.which("openssl") is None, reason="openssl makes the certificate"
)


@pytest.fixture(scope="module")
def self_signed(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tls")
    command = (
        "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 1 "
        "-subj /CN=127.0.0.1 -addext subjectAltName=IP:127.0.0.1 -keyout key.pem -out cert.pem"
    )
    subprocess.run(command.split(), cwd=folder, check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "cert.pem", folder / "key.pem")
    return context


async def test_a_certificate_that_nobody_vouches_for_is_refused(self_signed):
    async with fault_server(ssl=self_signed) as space:
        model = model_for(space, hf_token="hf_secret", auth=("ann", "secret"))
        error = await failure(model, SpaceConnectionError, r"certificate of 127\.0\.0\.1 cannot be")
        assert space.requests == []
    assert not error.is_retryable
    assert "hf_secret" not in repr(error)


async def test_plain_http_from_a_tls_port_is_a_connection_error(self_signed):
    async with fault_server(ssl=self_signed) as space:
        model = model_for(space.url.replace("https", "http"))
        await failure(model, SpaceConnectionError)
