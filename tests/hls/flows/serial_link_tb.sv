// SPDX-License-Identifier: Apache-2.0
// Sends three clips of 8 pixels to the stand-in over the line: whole, begun and broken off, then too fast to take.
`timescale 1ns / 1ps
module serial_link_tb #(
    parameter int   PIXEL_BITS = 24,
    localparam int  BYTES      = PIXEL_BITS / 8,
    localparam int  BEATS      = 24 / BYTES,
    localparam real BIT_NS     = 1000000.0 / 3000.0 * 1.02  // the host's clock is 2 % slow
);

    logic        clk = 1'b0, rst = 1'b1, rxd = 1'b1, stall = 1'b0;
    logic        txd, design_rst, pixel_valid, pixel_ready, design_ready, result_valid, result_ready, last;
    logic [7:0]  led;
    logic [PIXEL_BITS-1:0] pixel_data, expected;
    logic [71:0] result_data;
    logic [7:0]  answer;
    integer      seen = 0, wrong = 0, answers = 0, i, j;

    assign pixel_ready = design_ready && !stall;

    fg_serial_link #(.PIXEL_BITS(PIXEL_BITS), .RESULT_BITS(72)) u_link (
        .clk(clk), .rst(rst), .rxd(rxd), .txd(txd), .led(led), .design_rst(design_rst),
        .pixel_valid(pixel_valid), .pixel_ready(pixel_ready), .pixel_data(pixel_data),
        .result_valid(result_valid), .result_ready(result_ready), .result_data(result_data)
    );
    framegate #(.PIXELS(BEATS)) u_design (
        .clk(clk), .rst(design_rst), .clear(1'b0), .s_axis_tvalid(pixel_valid && !stall), .s_axis_tready(design_ready),
        .s_axis_tdata(24'(pixel_data)), .m_axis_tvalid(result_valid), .m_axis_tready(result_ready),
        .m_axis_tdata(result_data), .m_axis_tlast(last)
    );

    always #10 clk = !clk;

    always @(posedge clk) if (pixel_valid && pixel_ready && !design_rst) begin
        for (j = 0; j < BYTES; j = j + 1) expected[8*j +: 8] = 8'(BYTES * (seen % BEATS) + j);
        if (pixel_data !== expected && !stall) wrong = wrong + 1;
        seen = seen + 1;
    end

    always begin  // the host's receiver
        @(negedge txd);
        #(1.5 * BIT_NS) for (i = 0; i < 8; i = i + 1) begin
            answer[i] = txd;
            #(BIT_NS);
        end
        if (txd !== 1'b1) wrong = wrong + 1;
        answers = answers + 1;
    end

    task send(input [7:0] value);
        integer k;
        begin
            rxd = 1'b0;
            #(BIT_NS);
            for (k = 0; k < 8; k = k + 1) begin
                rxd = value[k];
                #(BIT_NS);
            end
            rxd = 1'b1;
            #(BIT_NS);
        end
    endtask

    task send_bytes(input integer count);
        integer b;
        for (b = 0; b < count; b = b + 1) send(8'(b));
    endtask

    initial begin
        #200 rst = 1'b0;
        #(20 * BIT_NS) send_bytes(24);
        #(20 * BIT_NS) $display("whole seen=%0d wrong=%0d answers=%0d same=%0d", seen, wrong, answers, answer == led);

        send_bytes(10);         // not a whole clip, nor whole pixels, then a break
        rxd = 1'b0;
        #(30 * BIT_NS) rxd = 1'b1;
        seen = 0;
        #(5 * BIT_NS) send_bytes(24);
        #(20 * BIT_NS) $display("restarted seen=%0d wrong=%0d answers=%0d", seen, wrong, answers);

        stall = 1'b1;
        send_bytes(2 * BYTES);  // the second beat comes while the first one waits
        stall = 1'b0;
        send_bytes(24 - BYTES);
        #(20 * BIT_NS) $display("lost answer=%h led=%h", answer, led);
        $finish;
    end
endmodule
