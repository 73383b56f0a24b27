"""The shipped definitions, as if someone had raised the code version of the assets that `edited.txt` names."""

from pathlib import Path

import dagster as dg

from bolid_pipeline import definitions

EDITED = Path(__file__).with_name("edited.txt")


def edited(spec: dg.AssetSpec) -> dg.AssetSpec:
    """The spec, of the next code version if its asset is named."""
    is_named = EDITED.exists() and spec.key.to_user_string() in EDITED.read_text().split()
    return spec.replace_attributes(code_version=f"{spec.code_version} and edited") if is_named else spec


defs = definitions.defs.map_asset_specs(func=edited)
