// SPDX-License-Identifier: Apache-2.0
// Memory with a write port and a read port whose output has a register. Its words are kept in slices of SLICE bits, each
// as deep as a block RAM of that width, so that no multiplexer stands behind the slow output of a block.
`default_nettype none
module fg_ram #(
    parameter int BITS  = 8,
    parameter int DEPTH = 16,
    parameter int ADDR  = 4,  // bits of an address
    parameter int SLICE = 8,  // bits; BITS leaves it to synthesis
    parameter int ULTRA = 0   // 1: in UltraRAM
) (
    input  wire logic            clk,
    input  wire logic            write,
    input  wire logic [ADDR-1:0] write_address,
    input  wire logic [BITS-1:0] write_data,
    input  wire logic            read,
    input  wire logic [ADDR-1:0] read_address,
    output      logic [BITS-1:0] read_data
);
    genvar low;
    generate
        for (low = 0; low < BITS; low = low + SLICE) begin : g_slice
            localparam int WIDTH = BITS - low < SLICE ? BITS - low : SLICE;
            logic [WIDTH-1:0] read_q;

            if (ULTRA != 0) begin : g_store
                (* ram_style = "ultra" *) logic [WIDTH-1:0] memory [0:DEPTH-1];
            end else begin : g_store
                logic [WIDTH-1:0] memory [0:DEPTH-1];
            end

            always_ff @(posedge clk) begin
                if (write) g_store.memory[write_address] <= write_data[low +: WIDTH];
                if (read) read_q <= g_store.memory[read_address];
`ifndef VIVADO  // which might not see a memory in this
                // Unknown, lest logic beside a block RAM keeps the old word. A simulation shows if it was wanted.
                if (read && write && read_address == write_address) read_q <= 'x;
`endif
            end
            assign read_data[low +: WIDTH] = read_q;
        end
    endgenerate

`ifndef SYNTHESIS
    initial if (BITS < 1 || DEPTH < 1 || SLICE < 1)
        $fatal(1, "%m: BITS=%0d, DEPTH=%0d and SLICE=%0d must be at least 1", BITS, DEPTH, SLICE);
    initial if (ADDR != (DEPTH > 1 ? $clog2(DEPTH) : 1))
        $fatal(1, "%m: ADDR=%0d must be the bits that count DEPTH=%0d words", ADDR, DEPTH);
`endif
endmodule
`default_nettype wire
