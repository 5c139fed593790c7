// SPDX-License-Identifier: Apache-2.0
// Fills the memories that start empty (UltraRAM): the words of one after the other, of each as many as BEATS says. A word
// per cycle; `loaded` when all are there. `rst` starts again.
`default_nettype none
module fg_loader #(
    parameter int                     MEMORIES = 1,
    parameter logic [32*MEMORIES-1:0] BEATS    = 1,  // 32 bits each, the first memory's lowest
    localparam int                    INDEX    = MEMORIES > 1 ? $clog2(MEMORIES) : 1
) (
    input  wire logic                clk,
    input  wire logic                rst,
    input  wire logic                in_valid,
    output      logic                in_ready,
    input  wire logic [31:0]         in_data,
    output      logic [MEMORIES-1:0] load,  // to which memory data_q goes
    output      logic [31:0]         data,
    output      logic                loaded
);
    logic [INDEX-1:0]    index_q;
    logic [31:0]         left_q;   // of this memory's words, but one
    logic                done_q, loaded_q;
    logic [MEMORIES-1:0] load_q;
    logic [31:0]         data_q;
    wire                 taken = in_valid && in_ready;
    wire                 last  = left_q == '0;  // of this memory
    wire                 final_memory = index_q == INDEX'(MEMORIES - 1);

    assign in_ready = !done_q;
    assign load     = load_q;
    assign data     = data_q;
    assign loaded   = loaded_q;

    always_ff @(posedge clk) begin
        data_q   <= in_data;
        load_q   <= taken ? MEMORIES'(1) << index_q : '0;
        loaded_q <= done_q;  // the last word is in its memory then
        if (taken) begin
            left_q <= left_q - 1'b1;
            if (last && final_memory) done_q <= 1'b1;
            if (last && !final_memory) begin
                index_q <= index_q + 1'b1;
                left_q  <= BEATS[32*(32'(index_q) + 1) +: 32] - 1'b1;
            end
        end
        if (rst) begin
            index_q  <= '0;
            left_q   <= BEATS[31:0] - 1'b1;
            done_q   <= 1'b0;
            loaded_q <= 1'b0;
            load_q   <= '0;
        end
    end

`ifndef SYNTHESIS
    integer n;
    initial for (n = 0; n < MEMORIES; n = n + 1) if (BEATS[32*n +: 32] == '0)
        $fatal(1, "%m: BEATS=%h must be at least 1 for each of MEMORIES=%0d", BEATS, MEMORIES);
`endif
endmodule
`default_nettype wire
