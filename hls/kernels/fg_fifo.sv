// SPDX-License-Identifier: Apache-2.0
// FIFO of DEPTH beats. II = 1, latency 3: a block RAM is slow, its output has a register. Refuses a beat only while it
// holds DEPTH.
`default_nettype none
module fg_fifo #(
    parameter int  BITS  = 8,  // bits of a beat
    parameter int  DEPTH = 2,  // beats, >= 1
    parameter int  SLICE = 8,  // bits of a beat that a block RAM keeps
    parameter int  ULTRA = 0,  // 1: the memory is in UltraRAM
    localparam int ADDR  = DEPTH > 1 ? $clog2(DEPTH) : 1,
    localparam int COUNT = $clog2(DEPTH + 1)
) (
    input  wire logic            clk,
    input  wire logic            rst,
    input  wire logic            in_valid,
    output      logic            in_ready,
    input  wire logic [BITS-1:0] in_data,
    output      logic            out_valid,
    input  wire logic            out_ready,
    output      logic [BITS-1:0] out_data
);
    logic [BITS-1:0]  read_q, data_q;
    logic [ADDR-1:0]  head_q, tail_q;    // next to write, next to read
    logic [COUNT-1:0] held_q, stored_q;  // beats in the FIFO, and in its memory
    logic             full_q, any_q;     // held_q == DEPTH, stored_q != 0
    logic             read_valid_q, valid_q;
    logic             push, pop, fetch, move, room;

    assign in_ready  = !full_q;
    assign push      = in_valid && !full_q;
    assign pop       = valid_q && out_ready;
    assign move      = out_ready || !valid_q;
    assign room      = move || !read_valid_q;
    assign fetch     = any_q && room;
    assign out_valid = valid_q;
    assign out_data  = data_q;

    fg_ram #(.BITS(BITS), .DEPTH(DEPTH), .ADDR(ADDR), .SLICE(SLICE), .ULTRA(ULTRA)) u_ram (
        .clk(clk),
        .write(push), .write_address(head_q), .write_data(in_data),
        .read(room), .read_address(tail_q), .read_data(read_q)
    );

    always_ff @(posedge clk) if (move) data_q <= read_q;

    always_ff @(posedge clk) begin
        if (push) head_q <= head_q == ADDR'(DEPTH - 1) ? '0 : head_q + 1'b1;
        if (fetch) tail_q <= tail_q == ADDR'(DEPTH - 1) ? '0 : tail_q + 1'b1;
        if (move) valid_q <= read_valid_q;
        if (fetch) read_valid_q <= 1'b1;
        else if (move) read_valid_q <= 1'b0;
        if (push && !pop) begin
            held_q <= held_q + 1'b1;
            full_q <= held_q == COUNT'(DEPTH - 1);
        end
        if (pop && !push) begin
            held_q <= held_q - 1'b1;
            full_q <= 1'b0;
        end
        if (push && !fetch) begin
            stored_q <= stored_q + 1'b1;
            any_q    <= 1'b1;
        end
        if (fetch && !push) begin
            stored_q <= stored_q - 1'b1;
            any_q    <= stored_q != COUNT'(1);
        end
        if (rst) begin
            head_q       <= '0;
            tail_q       <= '0;
            held_q       <= '0;
            stored_q     <= '0;
            full_q       <= 1'b0;
            any_q        <= 1'b0;
            read_valid_q <= 1'b0;
            valid_q      <= 1'b0;
        end
    end

`ifndef SYNTHESIS
    initial if (BITS < 1 || DEPTH < 1 || SLICE < 1)
        $fatal(1, "%m: BITS=%0d, DEPTH=%0d and SLICE=%0d must be at least 1", BITS, DEPTH, SLICE);
    fg_stream_check #(.BITS(BITS)) u_check (
        .clk(clk), .rst(rst), .valid(out_valid), .ready(out_ready), .data(out_data),
        .in_range(int'(held_q) <= DEPTH && stored_q <= held_q && full_q == (int'(held_q) == DEPTH) && any_q == (stored_q != '0))
    );
`endif
endmodule
`default_nettype wire
