# SPDX-License-Identifier: Apache-2.0
"""Simulators, and the bench around a module."""
