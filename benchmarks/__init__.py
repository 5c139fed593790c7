# SPDX-License-Identifier: Apache-2.0
"""Speed claims, each measured beside a named peer."""
