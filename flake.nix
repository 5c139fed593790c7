# SPDX-License-Identifier: Apache-2.0
{
  description = "framegate: the same tools from nixpkgs; the Python packages from pyproject.toml in a virtual environment";

  inputs.nixpkgs.url = "github:NixOS/nixpkgs/nixos-unstable";

  outputs = { self, nixpkgs }:
    let
      systems = [ "x86_64-linux" "aarch64-linux" ];
      forAll = make: nixpkgs.lib.genAttrs systems (system: make nixpkgs.legacyPackages.${system});
    in
    {
      # `nix develop`, then `make demo`: native tools on PATH win over the wheels.
      devShells = forAll (pkgs: {
        default = pkgs.mkShell {
          packages = with pkgs; [ python311 gnumake gcc perl verilator ccache iverilog yosys nextpnr trellis ];
          LD_LIBRARY_PATH = pkgs.lib.makeLibraryPath [ pkgs.stdenv.cc.cc.lib pkgs.zlib ];
        };
      });
    };
}
