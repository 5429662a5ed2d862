"""The model card: ``README.md`` of a model on the Hub."""

from collections.abc import Mapping
from typing import Any

from huggingface_hub import EvalResult, ModelCard, ModelCardData

TASK = "image-classification"

_BODY = """
# {title}

An image classifier that runs only the blocks, paths or channels an image needs, made with
dyncore{method}.

```python
import dyncore

model = dyncore.from_pretrained("{repository}")
preprocess = dyncore.transforms(model)  # PIL image → the tensor it was trained on
output = model(preprocess(image)[None])  # output.logits, output.path
```
"""


_CASCADE = """
# {title}

A cascade of image classifiers, made with dyncore: each is asked about the images that those before
it are unsure of.

```python
import dyncore

cascade = dyncore.from_pretrained("{repository}")
preprocess = dyncore.transforms(cascade)  # PIL image → tensor in [0, 1]
output = cascade(preprocess(image)[None])  # output.logits, output.member, output.macs
```

| member | asked about |
| --- | --- |
{rows}
"""


def model_card(config: Mapping[str, Any], repository: str) -> ModelCard:
    """The card of a model with this ``config.json``; its metadata holds the evaluation results."""
    info, network = config["info"], config["network"]
    title = info.get("model") or repository.partition("/")[2]
    data = ModelCardData(
        library_name="dyncore",
        pipeline_tag=TASK,
        tags=_present(
            "dynamic-inference", info.get("method"), network["backbone"]["name"], info.get("model")
        ),
        datasets=_present(dataset_id(info)) or None,
        metrics=["accuracy"] if "accuracy" in info["metrics"] else None,
        model_name=title,
        eval_results=_results(info) or None,
    )
    method = f" (method {info['method']})" if info.get("method") else ""
    body = _BODY.format(title=title, method=method, repository=repository)
    return ModelCard(f"---\n{data.to_yaml()}\n---\n{body}{_figures(info)}")


def cascade_card(content: Mapping[str, Any], repository: str) -> ModelCard:
    """The card of a cascade with this ``cascade.json``."""
    saved = content["cascade"]
    title = repository.partition("/")[2]
    data = ModelCardData(
        library_name="dyncore",
        pipeline_tag=TASK,
        tags=["dynamic-inference", "cascade"],
        datasets=_present(saved["dataset"]) or None,
        metrics=["accuracy"] if "accuracy" in saved["metrics"] else None,
        model_name=title,
        eval_results=_results(saved) or None,
    )
    setting = saved["policy"]["setting"]
    shares = ["?"] * len(saved["members"])
    if setting is not None:
        shares = [f"{share:.1%} of the calibration images" for share in setting["asked"]]
    names = [member["name"] for member in saved["members"]]
    rows = "\n".join(f"| {name} | {share} |" for name, share in zip(names, shares, strict=True))
    body = _CASCADE.format(title=title, repository=repository, rows=rows)
    return ModelCard(f"---\n{data.to_yaml()}\n---\n{body}{_figures(saved)}")


def _present(*values: str | None) -> list[str]:
    return list(dict.fromkeys(value for value in values if value))


def dataset_id(info: Mapping[str, Any]) -> str | None:
    """The recipe's Hub id, if the model was trained on that data set, else the plain name."""
    name, recipe = info.get("dataset"), info.get("recipe") or {}
    source = recipe.get("dataset")
    return source if isinstance(source, str) and source.rpartition("/")[2] == name else name


def _results(info: Mapping[str, Any]) -> list[EvalResult]:
    dataset = dataset_id(info)
    if dataset is None:
        return []
    return [
        EvalResult(
            task_type=TASK,
            dataset_type=dataset,
            dataset_name=info["dataset"],
            dataset_split="test",
            metric_type=name,
            metric_name=name.replace("_", " "),
            metric_value=value,
        )
        for name, value in info["metrics"].items()
    ]


def _figures(info: Mapping[str, Any]) -> str:
    if not info["metrics"]:
        return ""
    rows = "".join(f"| {name} | {value:.6g} |\n" for name, value in info["metrics"].items())
    of = f" of {info['dataset']}" if info.get("dataset") else ""
    return (
        f"\n## Evaluation\n\nOn the test split{of}, with hard decisions. Costs are MACs, routers "
        f"included (1 MAC = 2 FLOPs).\n\n| metric | value |\n| --- | --- |\n{rows}"
    )
