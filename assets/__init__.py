"""Thin Dagster assets over `bolid_pipeline`: one file per stage, its checks beside it."""
