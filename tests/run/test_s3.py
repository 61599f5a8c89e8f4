"""A whole run whose store is a real S3 server."""


def test_a_run_on_s3_is_the_same_with_keys_in_the_environment_only(bench, s3):
    bench.store = s3.new_url()
    bench.env = dict(s3.env)
    output = bench.run()
    assert "merged" in output.lower()
    assert bench.ran() == []
    for secret in (s3.env["AWS_SECRET_ACCESS_KEY"], "scripted-key"):
        assert secret not in output
    bench.command("fetch", bench.name, "--store", bench.store, "--to", str(bench.folder / "fetched"))
    assert list((bench.folder / "fetched").rglob("model*.safetensors"))
