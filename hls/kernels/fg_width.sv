// SPDX-License-Identifier: Apache-2.0
// Lane conversion by a whole ratio: packs narrow beats (II = 1, latency 1) or unpacks wide ones (II = ratio, latency 1).
`default_nettype none
module fg_width #(
    parameter int  IN_BITS  = 8,   // bits of an input beat
    parameter int  OUT_BITS = 16,  // bits of an output beat; one divides the other
    localparam int PACK     = OUT_BITS > IN_BITS ? 1 : 0,
    localparam int RATIO    = PACK != 0 ? OUT_BITS / IN_BITS : IN_BITS / OUT_BITS,
    localparam int INDEX    = RATIO > 1 ? $clog2(RATIO) : 1
) (
    input  wire logic                clk,
    input  wire logic                rst,
    input  wire logic                in_valid,
    output      logic                in_ready,
    input  wire logic [IN_BITS-1:0]  in_data,
    output      logic                out_valid,
    input  wire logic                out_ready,
    output      logic [OUT_BITS-1:0] out_data
);
    logic [INDEX-1:0] index_q;  // narrow beats done
    logic             valid_q, last;

    assign last      = index_q == INDEX'(RATIO - 1);
    assign out_valid = valid_q;

    generate
        if (PACK != 0) begin : g_pack
            logic [OUT_BITS-1:0] data_q;

            assign in_ready = out_ready || !valid_q;
            assign out_data = data_q;

            always_ff @(posedge clk) begin
                if (in_valid && in_ready) data_q <= {in_data, data_q[OUT_BITS-1:IN_BITS]};
            end
            always_ff @(posedge clk) begin
                if (in_ready) valid_q <= in_valid && last;
                if (in_valid && in_ready) index_q <= last ? '0 : index_q + 1'b1;
                if (rst) begin
                    valid_q <= 1'b0;
                    index_q <= '0;
                end
            end
        end else begin : g_unpack
            logic [IN_BITS-1:0] data_q;

            assign in_ready = !valid_q || (out_ready && last);
            assign out_data = data_q[OUT_BITS-1:0];

            always_ff @(posedge clk) begin
                if (in_valid && in_ready) data_q <= in_data;
                else if (out_ready) data_q <= data_q >> OUT_BITS;
            end
            always_ff @(posedge clk) begin
                if (in_ready) valid_q <= in_valid;
                if (valid_q && out_ready) index_q <= last ? '0 : index_q + 1'b1;
                if (rst) begin
                    valid_q <= 1'b0;
                    index_q <= '0;
                end
            end
        end
    endgenerate

`ifndef SYNTHESIS
    initial if (IN_BITS < 1 || OUT_BITS < 1 || (PACK != 0 ? OUT_BITS % IN_BITS : IN_BITS % OUT_BITS) != 0)
        $fatal(1, "%m: one of IN_BITS=%0d and OUT_BITS=%0d must divide the other", IN_BITS, OUT_BITS);
    fg_stream_check #(.BITS(OUT_BITS)) u_check (
        .clk(clk), .rst(rst), .valid(out_valid), .ready(out_ready), .data(out_data),
        .in_range(int'(index_q) < RATIO)
    );
`endif
endmodule
`default_nettype wire
