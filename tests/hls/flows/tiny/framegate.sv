// SPDX-License-Identifier: Apache-2.0
// Stand-in for a compiled design: sums weighted pixels, one result after PIXELS of them.
module framegate #(
    parameter int  PIXELS  = 8,
    parameter int  CLASSES = 2,
    parameter int  LANES   = 1,  // multipliers beside each other
    parameter int  DEEP    = 1   // products behind each other in one cycle
) (
    input  logic                    clk,
    input  logic                    rst,
    input  logic                    clear,
    input  logic                    s_axis_tvalid,
    output logic                    s_axis_tready,
    input  logic [23:0]             s_axis_tdata,
    output logic                    m_axis_tvalid,
    input  logic                    m_axis_tready,
    output logic [32*CLASSES+8-1:0] m_axis_tdata,
    output logic                    m_axis_tlast
);
    logic [17:0]      weights [0:1023];
    logic [17:0]      weight_q;
    logic [9:0]       count_q;
    logic [31:0]      sum_q;
    logic             valid_q, last_q, take;
    logic [23:0]      pixel_q;
    logic [31:0]      chain [0:DEEP];
    logic [31:0]      lanes_q [0:LANES-1];

    wire              reset = rst || clear;

    initial $readmemh("weights.hex", weights);

    assign s_axis_tready = !m_axis_tvalid || m_axis_tready;
    assign take          = s_axis_tvalid && s_axis_tready;
    assign m_axis_tdata  = {1'b1, sum_q[6:0], {CLASSES{sum_q}}};
    assign m_axis_tlast  = 1'b1;
    assign chain[0]      = {8'b0, pixel_q};

    genvar i;
    generate
        for (i = 0; i < DEEP; i = i + 1) begin : g_deep
            assign chain[i+1] = chain[i][17:0] * weight_q + chain[i];
        end
        for (i = 0; i < LANES; i = i + 1) begin : g_lane
            logic [17:0] a_q, b_q;
            always_ff @(posedge clk) begin
                a_q <= (i == 0) ? chain[DEEP][17:0] : lanes_q[i > 0 ? i - 1 : 0][17:0];
                b_q <= weight_q + 18'(i);
                lanes_q[i] <= (i == 0) ? chain[DEEP] : a_q * b_q;
                if (reset) lanes_q[i] <= 32'd0;
            end
        end
    endgenerate

    always_ff @(posedge clk) begin
        weight_q <= weights[count_q];
        if (take) pixel_q <= s_axis_tdata;
        valid_q <= take;
        last_q  <= take && count_q == 10'(PIXELS - 1);
        if (take) count_q <= count_q == 10'(PIXELS - 1) ? 10'd0 : count_q + 10'd1;
        if (valid_q) sum_q <= sum_q + lanes_q[LANES-1];
        if (m_axis_tready) m_axis_tvalid <= 1'b0;
        if (last_q) m_axis_tvalid <= 1'b1;
        if (reset) begin
            count_q       <= 10'd0;
            sum_q         <= 32'd0;
            pixel_q       <= 24'd0;
            valid_q       <= 1'b0;
            last_q        <= 1'b0;
            m_axis_tvalid <= 1'b0;
        end
    end
endmodule
