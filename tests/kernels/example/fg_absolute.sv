// SPDX-License-Identifier: Apache-2.0
// Absolute values of signed channels. II = 1, latency 1.
`default_nettype none
module fg_absolute #(
    parameter int LANES = 1,  // channels in one beat
    parameter int BITS  = 4   // of a channel, which is signed; its absolute value needs as many, unsigned
) (
    input  wire logic                  clk,
    input  wire logic                  rst,
    input  wire logic                  in_valid,
    output      logic                  in_ready,
    input  wire logic [LANES*BITS-1:0] in_data,
    output      logic                  out_valid,
    input  wire logic                  out_ready,
    output      logic [LANES*BITS-1:0] out_data
);
    logic                  valid_q;
    logic [LANES*BITS-1:0] absolute_d, absolute_q;

    assign in_ready  = out_ready || !valid_q;
    assign out_valid = valid_q;
    assign out_data  = absolute_q;

    genvar lane;
    generate
        for (lane = 0; lane < LANES; lane = lane + 1) begin : g_lane
            wire [BITS-1:0] value = in_data[lane*BITS +: BITS];
            assign absolute_d[lane*BITS +: BITS] = value[BITS-1] ? -value : value;
        end
    endgenerate

    always_ff @(posedge clk) begin
        if (in_ready) begin
            absolute_q <= absolute_d;
            valid_q    <= in_valid;
        end
        if (rst) valid_q <= 1'b0;
    end

`ifndef SYNTHESIS
    initial if (LANES < 1 || BITS < 1)
        $fatal(1, "%m: LANES=%0d and BITS=%0d must be at least 1", LANES, BITS);
    fg_stream_check #(.BITS(LANES*BITS)) u_check (
        .clk(clk), .rst(rst), .valid(out_valid), .ready(out_ready), .data(out_data),
        .in_range(1'b1)
    );
`endif
endmodule
`default_nettype wire
