# SPDX-License-Identifier: Apache-2.0
"""The report of a build on one page."""
