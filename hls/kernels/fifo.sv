// SPDX-License-Identifier: Apache-2.0
// FIFO of DEPTH beats with an output register. II = 1, latency 2. Refuses a beat only while it holds DEPTH.
module fifo #(
    parameter int  BITS  = 8,  // bits of a beat
    parameter int  DEPTH = 2,  // beats, >= 1
    localparam int ADDR  = DEPTH > 1 ? $clog2(DEPTH) : 1,
    localparam int COUNT = $clog2(DEPTH + 1)
) (
    input  logic            clk,
    input  logic            rst,
    input  logic            in_valid,
    output logic            in_ready,
    input  logic [BITS-1:0] in_data,
    output logic            out_valid,
    input  logic            out_ready,
    output logic [BITS-1:0] out_data
);
    logic [BITS-1:0]  memory [0:DEPTH-1];
    logic [BITS-1:0]  data_q;
    logic [ADDR-1:0]  head_q, tail_q;   // next to write, next to read
    logic [COUNT-1:0] held_q;           // beats in the FIFO, output register included
    logic             valid_q;
    logic             push, pop, fetch;

    assign in_ready  = held_q != COUNT'(DEPTH);
    assign push      = in_valid && in_ready;
    assign pop       = valid_q && out_ready;
    assign fetch     = (held_q > COUNT'(valid_q)) && (!valid_q || out_ready);
    assign out_valid = valid_q;
    assign out_data  = data_q;

    always_ff @(posedge clk) begin
        if (push) memory[head_q] <= in_data;
        if (fetch) data_q <= memory[tail_q];
    end

    always_ff @(posedge clk) begin
        if (push) head_q <= head_q == ADDR'(DEPTH - 1) ? '0 : head_q + 1'b1;
        if (fetch) tail_q <= tail_q == ADDR'(DEPTH - 1) ? '0 : tail_q + 1'b1;
        if (fetch) valid_q <= 1'b1;
        else if (pop) valid_q <= 1'b0;
        if (push && !pop) held_q <= held_q + 1'b1;
        if (pop && !push) held_q <= held_q - 1'b1;
        if (rst) begin
            head_q  <= '0;
            tail_q  <= '0;
            held_q  <= '0;
            valid_q <= 1'b0;
        end
    end
endmodule
