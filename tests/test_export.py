"""`segue export onnx`: what the files say of themselves, what they answer at other shapes, that the decoder's place counts."""

import json

import numpy as np
import pytest
import torch
from small import CODEC

from segue.engine.checkpoint import save
from segue.engine.models.dit import Dit, DitSpec
from segue.engine.models.spec import ModelSpec
from segue.engine.models.vae import LiveCodec
from segue.server import cli

TOLERANCE = 1e-4


def relative(a, b):
    return float(np.linalg.norm(a - b.numpy()) / np.linalg.norm(b.numpy()))


def test_codec_files_answer_as_the_codec_does(tmp_path, capsys):
    onnx = pytest.importorskip("onnx", reason="the extra onnx is not installed")
    onnxruntime = pytest.importorskip("onnxruntime", reason="the extra onnx is not installed")
    pytest.importorskip("onnxscript", reason="the extra onnx is not installed")
    torch.manual_seed(0)
    codec, dit = LiveCodec(CODEC).eval(), DitSpec(channels=16, width=32, layers=1, heads=1, rank=4)
    spec, exact = ModelSpec("m", codec=CODEC, denoiser=dit), {"codec": "fp32", "denoiser": "fp32"}
    sha256 = save(tmp_path / "m.safetensors", spec, codec, Dit(dit), exact)
    argv = ["export", "onnx", "--json", "--model", str(tmp_path / "m.safetensors"), "--out", str(tmp_path / "out")]
    assert cli.main([*argv, "--only", "encoder", "--only", "decoder"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert [file["graph"] for file in told["files"]] == ["encoder", "decoder"]
    assert all(0 < file["error"] <= TOLERANCE for file in told["files"])
    encoder, decoder = (onnxruntime.InferenceSession(file["path"]) for file in told["files"])
    facts = {p.key: p.value for p in onnx.load(told["files"][0]["path"]).metadata_props}
    assert facts["segue.sha256"] == sha256
    assert facts["opset"] == "20"
    assert {op.version for op in onnx.load(told["files"][0]["path"]).opset_import if not op.domain} == {20}
    audio = 0.1 * torch.randn(3, 2, 21 * 1024)
    with torch.no_grad():
        z = codec.encode(audio)
        assert relative(encoder.run(None, {"audio": audio.numpy()})[0], z) < TOLERANCE
        for place in (0, 430):  # the noise goes round after 431 frames
            heard = decoder.run(None, {"z": z.numpy(), "frame_offset": np.array([place])})[0]
            assert relative(heard, codec.decode(z, place)) < TOLERANCE
        assert relative(heard, codec.decode(z, 0)) > 0.01
