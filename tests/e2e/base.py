"""A base model of two layers, cut from the demo model of the tryout, for requests that only have to run."""

from e2e.release import NAMESPACE, Release, run_in_pod

DEMO = "models/SmolLM2-135M-Instruct"
TWO_LAYERS = "models/two-layers"  # profiles of values.yaml know it
_CUT = f"""
import boto3, json, struct
bucket, s3 = "tunesmith", boto3.client("s3")
items = s3.list_objects_v2(Bucket=bucket, Prefix="{DEMO}/")["Contents"]
files = [item["Key"].rpartition("/")[2] for item in items]
parts = {{name: s3.get_object(Bucket=bucket, Key=f"{DEMO}/{{name}}")["Body"].read() for name in files}}
parts["config.json"] = json.dumps(json.loads(parts["config.json"]) | {{"num_hidden_layers": 2}}).encode()
whole = parts.pop("model.safetensors")
[size] = struct.unpack("<Q", whole[:8])
header, body = {{}}, bytearray()
for name, tensor in json.loads(whole[8 : 8 + size]).items():
    words = name.split(".")
    if name == "__metadata__" or "layers" in words and int(words[words.index("layers") + 1]) >= 2:
        continue
    begin, end = tensor["data_offsets"]
    header[name] = tensor | {{"data_offsets": [len(body), len(body) + end - begin]}}
    body += whole[8 + size + begin : 8 + size + end]
head = json.dumps(header).encode()
parts["model.safetensors"] = struct.pack("<Q", len(head)) + head + body
for name, content in parts.items():
    s3.put_object(Bucket=bucket, Key=f"{TWO_LAYERS}/{{name}}", Body=content)
"""


def put_two_layers(release: Release) -> None:
    """Put the model into the bucket, from a pod, as nothing else may write there."""
    run_in_pod(release, _CUT, of_the_store(release))


def store_keys(release: Release) -> dict[str, str]:
    """The tryout's own credentials, as the platform team knows them."""
    return release.secret("tunesmith-tryout-store")


def of_the_store(release: Release) -> dict[str, str]:
    """Environment with which boto3 reaches the tryout's S3 server from a pod."""
    return {
        **store_keys(release),
        "AWS_ENDPOINT_URL_S3": f"http://tunesmith-tryout-s3.{NAMESPACE}:8333",
        "AWS_REGION": "us-east-1",
    }
