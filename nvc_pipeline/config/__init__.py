"""The configuration: ``configs/default.yaml`` and the models that check it."""

from nvc_pipeline.config.loader import Config, config_keys, default_config_path, load_config

__all__ = ["Config", "config_keys", "default_config_path", "load_config"]
