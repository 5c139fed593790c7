// SPDX-License-Identifier: Apache-2.0
// ULX3S top: oscillator -> PLL -> design, pixels and decisions over the USB serial line, the decision on the LEDs.
`default_nettype none
module fg_ulx3s #(
    parameter int  CLOCK_MHZ   = 50,    // of the design: a multiple of 5, 5 to 200
    parameter int  BAUD_KHZ    = 3000,  // of the serial line, 8N1
    parameter int  PIXEL_BITS  = 24,    // width of the design's s_axis_tdata: 8 or 24
    parameter int  RESULT_BITS = 40,    // width of its m_axis_tdata
    localparam int CLKI_DIV    = CLOCK_MHZ % 25 == 0 ? 1 : 5,
    localparam int CLKFB_DIV   = CLOCK_MHZ * CLKI_DIV / 25,
    localparam int CLKOP_DIV   = 600 / CLOCK_MHZ  // the oscillator in the PLL runs at 400 to 600 MHz
) (
    input  wire logic       clk_25mhz,
    input  wire logic       reset_button,  // high while pressed
    input  wire logic       ftdi_txd,      // from the host
    output      logic       ftdi_rxd,      // to the host
    output      logic       wifi_gpio0,    // low would make the ESP32 restart the board
    output      logic [7:0] led
);
    logic                   clk, locked, design_rst;
    logic                   pixel_valid, pixel_ready, result_valid, result_ready;
    logic [PIXEL_BITS-1:0]  pixel_data;
    logic [RESULT_BITS-1:0] result_data;
    logic [3:0]             reset_q;
    wire                    unused_feedback, unused_last;

    assign wifi_gpio0 = 1'b1;

    (* ICP_CURRENT = "12", LPF_RESISTOR = "8", MFG_ENABLE_FILTEROPAMP = "1", MFG_GMCREF_SEL = "2" *)
    EHXPLLL #(
        .PLLRST_ENA("DISABLED"), .INTFB_WAKE("DISABLED"), .STDBY_ENABLE("DISABLED"), .DPHASE_SOURCE("DISABLED"),
        .OUTDIVIDER_MUXA("DIVA"), .OUTDIVIDER_MUXB("DIVB"), .OUTDIVIDER_MUXC("DIVC"), .OUTDIVIDER_MUXD("DIVD"),
        .CLKI_DIV(CLKI_DIV), .CLKFB_DIV(CLKFB_DIV), .FEEDBK_PATH("CLKOP"), .CLKOP_ENABLE("ENABLED"),
        .CLKOP_DIV(CLKOP_DIV), .CLKOP_CPHASE(CLKOP_DIV / 2 - 1), .CLKOP_FPHASE(0)
    ) u_pll (
        .CLKI(clk_25mhz), .CLKFB(clk), .CLKOP(clk), .LOCK(locked), .RST(1'b0), .STDBY(1'b0), .CLKINTFB(unused_feedback),
        .PHASESEL0(1'b0), .PHASESEL1(1'b0), .PHASEDIR(1'b1), .PHASESTEP(1'b1), .PHASELOADREG(1'b1),
        .PLLWAKESYNC(1'b0), .ENCLKOP(1'b0)
    );

    initial reset_q = 4'b1111;  // as the device starts
    always_ff @(posedge clk) reset_q <= {reset_q[2:0], reset_button || !locked};

    fg_serial_link #(
        .CLOCK_KHZ(1000 * CLOCK_MHZ), .BAUD_KHZ(BAUD_KHZ), .PIXEL_BITS(PIXEL_BITS), .RESULT_BITS(RESULT_BITS)
    ) u_link (
        .clk(clk), .rst(reset_q[3]), .rxd(ftdi_txd), .txd(ftdi_rxd), .led(led), .design_rst(design_rst),
        .pixel_valid(pixel_valid), .pixel_ready(pixel_ready), .pixel_data(pixel_data),
        .result_valid(result_valid), .result_ready(result_ready), .result_data(result_data)
    );
    framegate u_design (
        .clk(clk), .rst(design_rst), .clear(1'b0),  // the link resets the design when the host asks for it
        .s_axis_tvalid(pixel_valid), .s_axis_tready(pixel_ready), .s_axis_tdata(pixel_data),
        .m_axis_tvalid(result_valid), .m_axis_tready(result_ready), .m_axis_tdata(result_data), .m_axis_tlast(unused_last)
    );

`ifndef SYNTHESIS
    initial if (CLOCK_MHZ < 5 || CLOCK_MHZ > 200 || CLOCK_MHZ % 5 != 0)
        $fatal(1, "%m: CLOCK_MHZ=%0d must be a multiple of 5 from 5 to 200", CLOCK_MHZ);
`endif
endmodule
`default_nettype wire
