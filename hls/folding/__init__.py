# SPDX-License-Identifier: Apache-2.0
"""How wide each kernel is, and in which memories it lives."""
