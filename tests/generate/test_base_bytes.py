"""How large the base model is, said by the first stage for the sake of later ones."""

from scripted import spec, teacher
from tiny import tiny_model

from tunesmith_jobs.generate.work import work


def test_the_result_says_how_much_disk_the_base_model_takes(stage_for, tmp_path):
    base = tiny_model(tmp_path / "model")
    with teacher() as server:
        outcome = work(stage_for(spec(server.url, 4) | {"model": {"base": base.as_uri()}}))
    files = {path.name: path.stat().st_size for path in base.iterdir()}
    assert outcome.metrics["rows"] == 4
    assert files["model.safetensors"] < outcome.metrics["baseBytes"] <= sum(files.values())
