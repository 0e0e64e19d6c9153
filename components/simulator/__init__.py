"""A seeded shop with known truth."""

from components.simulator.config import ShopConfig, ShopConfigError
from components.simulator.simulate import ShopFolderError, ShopSummary, simulate

__all__ = ["ShopConfig", "ShopConfigError", "ShopFolderError", "ShopSummary", "simulate"]
