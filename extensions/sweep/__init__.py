"""Sweeps over the parameters of any pipeline. This module only declares; the work is imported in the worker."""

from __future__ import annotations
