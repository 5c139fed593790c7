// SPDX-License-Identifier: Apache-2.0
// Test probe: writes "cycle word" for every beat that passes, and at the end "waited" with the cycles of the longest wait.
// Stops the run if a waiting beat is withdrawn or changed.
`default_nettype none
module fg_probe #(
    parameter int BITS = 8,
    parameter     NAME = "stream",
    parameter     FILE = "stream.txt",
    parameter int CHECK = 1  // 0: the module that drives the stream checks it already
) (
    input  wire logic            clk,
    input  wire logic            rst,
    input  wire logic [63:0]     cycle,
    input  wire logic            close,  // flush and close the file
    input  wire logic            valid,
    input  wire logic            ready,
    input  wire logic [BITS-1:0] data
);
    integer      file;
    logic        open_q;
    logic [31:0] wait_q, longest_q;

    initial begin
        file      = $fopen(FILE, "w");
        open_q    = 1'b1;
        wait_q    = '0;
        longest_q = '0;
    end

    always @(posedge clk) begin
        if (open_q && !rst && valid && ready) $fwrite(file, "%0d %h\n", cycle, data);
        if (open_q && close) begin
            $fwrite(file, "waited %0d\n", longest_q);
            $fclose(file);
            open_q <= 1'b0;
        end
        wait_q <= valid && !ready && !rst ? wait_q + 1 : '0;
        if (wait_q > longest_q) longest_q <= wait_q;
    end

    if (CHECK != 0) begin : g_check
        fg_stream_check #(.BITS(BITS), .NAME(NAME)) u_check (
            .clk(clk), .rst(rst), .valid(valid), .ready(ready), .data(data), .in_range(1'b1)
        );
    end
endmodule
`default_nettype wire
