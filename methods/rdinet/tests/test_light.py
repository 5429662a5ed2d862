"""A model of a method package runs without what only training needs."""

import subprocess
import sys

TRAINING = (
    *("PIL", "accelerate", "datasets", "pyarrow", "rich", "sklearn", "torchvision", "tqdm"),
    *("tyro", "onnx", "onnxruntime", "onnxscript"),
)


def test_a_model_runs_where_nothing_of_training_is_installed(tmp_path):
    code = (
        "import sys\n"
        f"sys.modules.update(dict.fromkeys({TRAINING}))\n"
        "import dyncore, torch\n"
        "model = dyncore.create_model('rdinet-resnet50')\n"
        f"model.save_pretrained({str(tmp_path)!r})\n"
        f"model = dyncore.from_pretrained({str(tmp_path)!r})\n"
        "assert model(torch.randn(2, 3, 64, 64)).logits.shape == (2, 1000)\n"
        "assert 'torch._dynamo' not in sys.modules\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr
