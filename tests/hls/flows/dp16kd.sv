// SPDX-License-Identifier: Apache-2.0
// What the ECP5's block RAM does, of what the flow uses: two ports that read and write 1 to 18 bits, reading the old word
// where they write it; or one that writes and one that reads 36 bits; with and without output registers. What a port reads
// of a word while the other one writes it is unknown. (Lattice, "ECP5 and ECP5-5G Memory Usage Guide", FPGA-TN-02204.)
module DP16KD #(
    parameter DATA_WIDTH_A = 18, DATA_WIDTH_B = 18,
              REGMODE_A = "NOREG", REGMODE_B = "NOREG", RESETMODE = "SYNC", ASYNC_RESET_RELEASE = "SYNC",
              CSDECODE_A = "0b000", CSDECODE_B = "0b000", CLKAMUX = "CLKA", CLKBMUX = "CLKB",
              WRITEMODE_A = "READBEFOREWRITE", WRITEMODE_B = "READBEFOREWRITE", GSR = "AUTO",
    parameter [319:0]
              INITVAL_00 = 0, INITVAL_01 = 0, INITVAL_02 = 0, INITVAL_03 = 0, INITVAL_04 = 0, INITVAL_05 = 0, INITVAL_06 = 0, INITVAL_07 = 0,
              INITVAL_08 = 0, INITVAL_09 = 0, INITVAL_0A = 0, INITVAL_0B = 0, INITVAL_0C = 0, INITVAL_0D = 0, INITVAL_0E = 0, INITVAL_0F = 0,
              INITVAL_10 = 0, INITVAL_11 = 0, INITVAL_12 = 0, INITVAL_13 = 0, INITVAL_14 = 0, INITVAL_15 = 0, INITVAL_16 = 0, INITVAL_17 = 0,
              INITVAL_18 = 0, INITVAL_19 = 0, INITVAL_1A = 0, INITVAL_1B = 0, INITVAL_1C = 0, INITVAL_1D = 0, INITVAL_1E = 0, INITVAL_1F = 0,
              INITVAL_20 = 0, INITVAL_21 = 0, INITVAL_22 = 0, INITVAL_23 = 0, INITVAL_24 = 0, INITVAL_25 = 0, INITVAL_26 = 0, INITVAL_27 = 0,
              INITVAL_28 = 0, INITVAL_29 = 0, INITVAL_2A = 0, INITVAL_2B = 0, INITVAL_2C = 0, INITVAL_2D = 0, INITVAL_2E = 0, INITVAL_2F = 0,
              INITVAL_30 = 0, INITVAL_31 = 0, INITVAL_32 = 0, INITVAL_33 = 0, INITVAL_34 = 0, INITVAL_35 = 0, INITVAL_36 = 0, INITVAL_37 = 0,
              INITVAL_38 = 0, INITVAL_39 = 0, INITVAL_3A = 0, INITVAL_3B = 0, INITVAL_3C = 0, INITVAL_3D = 0, INITVAL_3E = 0, INITVAL_3F = 0
) (
    input CLKA, CEA, OCEA, RSTA, WEA, CSA0, CSA1, CSA2, CLKB, CEB, OCEB, RSTB, WEB, CSB0, CSB1, CSB2,
    input
          ADA13, ADA12, ADA11, ADA10, ADA9, ADA8, ADA7, ADA6, ADA5, ADA4, ADA3, ADA2, ADA1, ADA0,
          ADB13, ADB12, ADB11, ADB10, ADB9, ADB8, ADB7, ADB6, ADB5, ADB4, ADB3, ADB2, ADB1, ADB0,
          DIA17, DIA16, DIA15, DIA14, DIA13, DIA12, DIA11, DIA10, DIA9, DIA8, DIA7, DIA6, DIA5, DIA4, DIA3, DIA2,
          DIA1, DIA0,
          DIB17, DIB16, DIB15, DIB14, DIB13, DIB12, DIB11, DIB10, DIB9, DIB8, DIB7, DIB6, DIB5, DIB4, DIB3, DIB2,
          DIB1, DIB0,
    output
          DOA17, DOA16, DOA15, DOA14, DOA13, DOA12, DOA11, DOA10, DOA9, DOA8, DOA7, DOA6, DOA5, DOA4, DOA3, DOA2,
          DOA1, DOA0,
          DOB17, DOB16, DOB15, DOB14, DOB13, DOB12, DOB11, DOB10, DOB9, DOB8, DOB7, DOB6, DOB5, DOB4, DOB3, DOB2,
          DOB1, DOB0
);
    localparam WIDE = DATA_WIDTH_B == 36;  // written through A, read through B

    reg  [8:0] nines [0:2047];
    reg  [35:0] read_a, read_b, out_a, out_b;
    wire [13:0] ada = {
          ADA13, ADA12, ADA11, ADA10, ADA9, ADA8, ADA7, ADA6, ADA5, ADA4, ADA3, ADA2, ADA1, ADA0 };
    wire [13:0] adb = {
          ADB13, ADB12, ADB11, ADB10, ADB9, ADB8, ADB7, ADB6, ADB5, ADB4, ADB3, ADB2, ADB1, ADB0 };
    wire [35:0] dia = {
          DIB17, DIB16, DIB15, DIB14, DIB13, DIB12, DIB11, DIB10, DIB9, DIB8, DIB7, DIB6, DIB5, DIB4, DIB3, DIB2,
          DIB1, DIB0,
          DIA17, DIA16, DIA15, DIA14, DIA13, DIA12, DIA11, DIA10, DIA9, DIA8, DIA7, DIA6, DIA5, DIA4, DIA3, DIA2,
          DIA1, DIA0 };
    wire [17:0] dib = dia[35:18];
    wire [35:0] shown_a = REGMODE_A == "OUTREG" ? out_a : read_a;
    wire [35:0] shown_b = REGMODE_B == "OUTREG" ? out_b : read_b;
    assign {
          DOB17, DOB16, DOB15, DOB14, DOB13, DOB12, DOB11, DOB10, DOB9, DOB8, DOB7, DOB6, DOB5, DOB4, DOB3, DOB2,
          DOB1, DOB0,
          DOA17, DOA16, DOA15, DOA14, DOA13, DOA12, DOA11, DOA10, DOA9, DOA8, DOA7, DOA6, DOA5, DOA4, DOA3, DOA2,
          DOA1, DOA0 } = WIDE ? shown_b : {shown_b[17:0], shown_a[17:0]};

    function [35:0] word(input [13:0] address, input integer width);
        case (width)
            1:       word = nines[address[13:3]][address[2:0]];
            2:       word = nines[address[13:3]][{address[2:1], 1'b0} +: 2];
            4:       word = nines[address[13:3]][{address[2], 2'b00} +: 4];
            9:       word = nines[address[13:3]];
            18:      word = {nines[{address[13:4], 1'b1}], nines[{address[13:4], 1'b0}]};
            default: word = {nines[{address[13:5], 2'd3}], nines[{address[13:5], 2'd2}],
                             nines[{address[13:5], 2'd1}], nines[{address[13:5], 2'd0}]};
        endcase
    endfunction

    // The lowest bits of an address count for narrow words only; of wide ones they say which nines are written.
    task put(input [13:0] address, input integer width, input [35:0] data);
        integer i;
        case (width)
            1: nines[address[13:3]][address[2:0]] = data[0];
            2: nines[address[13:3]][{address[2:1], 1'b0} +: 2] = data[1:0];
            4: nines[address[13:3]][{address[2], 2'b00} +: 4] = data[3:0];
            9: nines[address[13:3]] = data[8:0];
            default: for (i = 0; i < width / 9; i = i + 1)
                if (address[i]) nines[(address >> (width == 18 ? 4 : 5)) * (width / 9) + i] = data[9*i +: 9];
        endcase
    endtask

    function [13:0] place(input [13:0] address, input integer width);
        place = address >> (width == 36 ? 5 : width == 18 ? 4 : width == 9 ? 3 : width == 4 ? 2 : width == 2 ? 1 : 0);
    endfunction

    integer nine;
    reg [64*320-1:0] init;
    initial begin
        init = {
            INITVAL_3F, INITVAL_3E, INITVAL_3D, INITVAL_3C, INITVAL_3B, INITVAL_3A, INITVAL_39, INITVAL_38,
            INITVAL_37, INITVAL_36, INITVAL_35, INITVAL_34, INITVAL_33, INITVAL_32, INITVAL_31, INITVAL_30,
            INITVAL_2F, INITVAL_2E, INITVAL_2D, INITVAL_2C, INITVAL_2B, INITVAL_2A, INITVAL_29, INITVAL_28,
            INITVAL_27, INITVAL_26, INITVAL_25, INITVAL_24, INITVAL_23, INITVAL_22, INITVAL_21, INITVAL_20,
            INITVAL_1F, INITVAL_1E, INITVAL_1D, INITVAL_1C, INITVAL_1B, INITVAL_1A, INITVAL_19, INITVAL_18,
            INITVAL_17, INITVAL_16, INITVAL_15, INITVAL_14, INITVAL_13, INITVAL_12, INITVAL_11, INITVAL_10,
            INITVAL_0F, INITVAL_0E, INITVAL_0D, INITVAL_0C, INITVAL_0B, INITVAL_0A, INITVAL_09, INITVAL_08,
            INITVAL_07, INITVAL_06, INITVAL_05, INITVAL_04, INITVAL_03, INITVAL_02, INITVAL_01, INITVAL_00 };

        for (nine = 0; nine < 2048; nine = nine + 1) nines[nine] = init[20*(nine/2) + 9*(nine%2) +: 9];
        {read_a, read_b, out_a, out_b} = 0;
    end

    wire write_a = CEA && WEA && (DATA_WIDTH_A < 18 || (ada & ((1 << DATA_WIDTH_A / 9) - 1)) != 0);
    wire write_b = CEB && WEB && !WIDE && (DATA_WIDTH_B < 18 || adb[1:0] != 0);
    wire same    = place(ada, DATA_WIDTH_A) == place(adb, DATA_WIDTH_B);

    always @(posedge CLKA) begin
        if (OCEA) out_a <= read_a;
        if (CEA) read_a <= write_b && same ? 36'bx : word(ada, DATA_WIDTH_A);
        if (write_a) put(ada, DATA_WIDTH_A, dia);
    end

    always @(posedge CLKB) begin
        if (WIDE ? OCEB && OCEA : OCEB) out_b <= read_b;
        if (CEB) read_b <= write_a && same ? 36'bx : word(adb, DATA_WIDTH_B);
        if (write_b) put(adb, DATA_WIDTH_B, dib);
    end
endmodule
