"""No dependency is older than the release that mended an advisory against it.

The list was made by hand on 2026-11-25 from published advisories; `pip-audit -r requirements.txt` asks for those of the
day, with a network.
"""

from importlib.metadata import PackageNotFoundError, version

import pytest
from packaging.version import Version

MENDED = {
    "gradio": ("5.31.0", "CVE-2025-48889, files copied by flagging; CVE-2025-23042, paths by another case"),
    "h11": ("0.16.0", "CVE-2025-43859, chunks with bad endings are taken"),
    "jinja2": ("3.1.6", "CVE-2025-27516, a way out of the sandbox"),
    "orjson": ("3.9.15", "CVE-2024-27454, no bound on nesting"),
    "pillow": ("11.3.0", "CVE-2025-48379, writing beyond a buffer"),
    "pyarrow": ("14.0.1", "CVE-2023-47248, code in files that are read"),
    "python-multipart": ("0.0.18", "CVE-2024-53981, slow on bad boundaries"),
    "requests": ("2.32.4", "CVE-2024-47081, passwords sent to another host"),
    "scikit-learn": ("1.5.0", "CVE-2024-5206, words kept that were to be forgotten"),
    "starlette": ("0.49.1", "CVE-2025-62727, slow on bad ranges; CVE-2025-54121, large uploads block"),
    "torch": ("2.6.0", "CVE-2025-32434, code in weights that are unpickled"),
    "transformers": ("4.53.0", "CVE-2025-6638 and others, slow patterns; CVE-2024-11392 to 11394, unpickled models"),
    "urllib3": ("2.5.0", "CVE-2025-50181, redirects followed that were switched off"),
}


@pytest.mark.parametrize("package", MENDED)
def test_what_is_installed_is_not_known_to_be_broken(package):
    first, why = MENDED[package]
    try:
        installed = Version(version(package))
    except PackageNotFoundError:
        pytest.skip("not installed")
    assert installed >= Version(first), why
