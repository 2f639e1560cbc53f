"""Snapshots on disk: tensors and one JSON document in a single safetensors file, never pickle."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from engine.errors import CheckpointError
from engine.files import check_file, parse_json, write_bytes

_DOCUMENT_KEY = "hdtui"


def save_checkpoint(path: Path, tensors: Mapping[str, Tensor], document: Mapping[str, Any]) -> str:
    """Write ``path`` so that it is complete or absent, and return its SHA-256.

    ``document`` is JSON; tensors may live on any device.
    """
    # Clones, because parameters may be views of one vector, which safetensors refuses.
    prepared = {
        name: tensor.detach().cpu().contiguous().clone() for name, tensor in tensors.items()
    }
    content = save(prepared, metadata={_DOCUMENT_KEY: json.dumps(document, allow_nan=False)})
    return write_bytes(path, content)


def load_checkpoint(
    path: Path, device: torch.device | str = "cpu"
) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Tensors and document of a checkpoint.

    Raises:
        CheckpointError: the file is missing, damaged or was not written by ``save_checkpoint``.
    """
    if not path.is_file():
        raise CheckpointError(f"{path}: no such checkpoint; it was moved or never written")
    try:
        check_file(path)
        with safe_open(path, framework="pt", device=str(device)) as file:
            document = _parse_document(path, file.metadata())
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError, ValueError, RecursionError) as error:
        raise CheckpointError(
            f"{path}: not a complete safetensors file ({error}); name another, or start a new run"
        ) from error
    return tensors, document


def read_document(path: Path) -> dict[str, Any]:
    """The document of a checkpoint, without its tensors.

    Raises:
        CheckpointError: as for ``load_checkpoint``.
    """
    if not path.is_file():
        raise CheckpointError(f"{path}: no such checkpoint; it was moved or never written")
    try:
        check_file(path)
        with safe_open(path, framework="pt") as file:
            return _parse_document(path, file.metadata())
    except (SafetensorError, OSError, ValueError, RecursionError) as error:
        raise CheckpointError(
            f"{path}: not a complete safetensors file ({error}); name another, or start a new run"
        ) from error


def select(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """The tensors named ``prefix.NAME``, under NAME."""
    start = f"{prefix}."
    return {
        name[len(start) :]: tensor for name, tensor in tensors.items() if name.startswith(start)
    }


def prefixed(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The same tensors under ``prefix.NAME``."""
    return {f"{prefix}.{name}": tensor for name, tensor in tensors.items()}


def _parse_document(path: Path, metadata: Mapping[str, str] | None) -> dict[str, Any]:
    text = (metadata or {}).get(_DOCUMENT_KEY)
    if text is None:
        raise CheckpointError(f"{path}: a safetensors file, but not one written by hdtui")
    document = parse_json(text)
    if not isinstance(document, dict):
        raise CheckpointError(f"{path}: its document is not a JSON object; the file is damaged")
    return document
