"""What `helm test` says of a store (files/check.py), reached by the profile's proxy and certificates."""

import http.server
import importlib.util
import json
import ssl
import threading
from datetime import UTC, datetime, timedelta

import pytest
import yaml
from rendering import CHART, objects


@pytest.fixture(scope="module")
def check():
    spec = importlib.util.spec_from_file_location("check", CHART / "files" / "check.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class Answers(http.server.BaseHTTPRequestHandler):
    def do_HEAD(self):
        self.server.asked.append(self.path)
        self.send_response(403)
        self.end_headers()

    def log_message(self, *_):
        pass


@pytest.fixture
def server():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answers)
    server.asked = []
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture
def with_certificate(server, tmp_path):
    """The server with a self-signed certificate."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.now(UTC)
    made = x509.CertificateBuilder(
        name, name, key.public_key(), 1, now - timedelta(1), now + timedelta(1)
    ).sign(key, hashes.SHA256())
    pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    (tmp_path / "both.pem").write_bytes(pem + made.public_bytes(serialization.Encoding.PEM))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "both.pem")
    server.socket = context.wrap_socket(server.socket, server_side=True)
    return f"https://127.0.0.1:{server.server_port}"


def test_a_store_whose_certificate_is_the_profiles_answers(check, with_certificate):
    assert "a certificate that this pod does not know" in check.store_answers(with_certificate, own_ca=True)


def test_a_certificate_that_no_stage_would_know_either_is_a_failure_that_names_the_remedy(
    check, with_certificate
):
    with pytest.raises(AssertionError, match=r"certificate verify failed.* caBundle"):
        check.store_answers(with_certificate)


def test_a_store_behind_a_proxy_is_asked_through_it(check, server):
    proxy = f"http://127.0.0.1:{server.server_port}"
    assert check.store_answers("http://store.invalid", proxy={"http": proxy}).endswith("answers 403")
    assert server.asked == ["http://store.invalid"]


def test_a_store_that_the_proxy_is_not_for_is_asked_directly(check, server):
    url = f"http://127.0.0.1:{server.server_port}"
    assert check.store_answers(
        url, proxy={"http": "http://proxy.invalid:3128", "noProxy": "127.0.0.1"}
    ).endswith("answers 403")


def test_proxy_and_certificates_of_each_profile_reach_the_check():
    store = {"url": "s3://b", "endpoint": "https://s3.corp"}
    proxy = {"https": "http://proxy:3128", "noProxy": ".corp"}
    [pod] = [
        document
        for (kind, name), document in objects(
            {
                "profiles": {
                    "a": {"store": store},
                    "b": {"store": store, "proxy": proxy, "caBundle": {"name": "ca"}},
                }
            }
        ).items()
        if (kind, name) == ("Pod", "tunesmith-test")
    ]
    [checks] = [entry["value"] for entry in pod["spec"]["containers"][0]["env"] if entry["name"] == "CHECKS"]
    stores = [one for one in json.loads(checks) if one["check"] == "store_answers"]
    assert [
        {name: value for name, value in one.items() if name not in ("check", "url")} for one in stores
    ] == [
        {},
        {"proxy": proxy, "own_ca": True},
    ]
    assert yaml.safe_load(checks) == json.loads(checks)
