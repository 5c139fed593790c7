// SPDX-License-Identifier: Apache-2.0
// One-dimensional sliding window whose KERNEL taps are on one beat. II = 1, latency 4.
// Of each pass of LENGTH steps, INNER beats each, it makes OUT steps of INNER beats: beat i of an output step has beat i of
// the steps under the kernel. A step is a row of a frame or a pixel of a row, which is sent REPEAT times. Step n lies in
// bank n mod BANKS.
`default_nettype none
module fg_slide #(
    parameter int  LANES     = 1,   // of a beat taken
    parameter int  BITS      = 4,   // of a lane
    parameter int  INNER     = 8,   // beats of a step
    parameter int  LENGTH    = 6,   // steps taken
    parameter int  OUT       = 6,   // steps made of them
    parameter int  KERNEL    = 3,
    parameter int  STRIDE    = 1,
    parameter int  PAD       = 1,   // steps before the first
    parameter int  PAD_VALUE = 0,
    parameter int  REPEAT    = 1,   // times each output step is sent
    parameter int  BANKS     = 3,   // >= KERNEL
    parameter int  SLICE     = 16,  // bits of a beat that a block RAM keeps
    localparam int BEAT      = LANES * BITS,
    localparam int ADDR      = INNER > 1 ? $clog2(INNER) : 1,
    localparam int PLACE     = BANKS > 1 ? $clog2(BANKS) : 1,  // a bank's number
    localparam int REPBITS   = REPEAT > 1 ? $clog2(REPEAT) : 1,
    localparam int STEPBITS  = OUT > 1 ? $clog2(OUT) : 1,
    // Signed: coordinates of steps, differences of beats.
    localparam int AXISBITS  = $clog2(LENGTH + KERNEL + STRIDE + 1) + 1,
    localparam int COUNTBITS = $clog2((LENGTH + KERNEL + STRIDE + BANKS + 1) * INNER + 1) + 1
) (
    input  wire logic                   clk,
    input  wire logic                   rst,
    input  wire logic                   in_valid,
    output      logic                   in_ready,
    input  wire logic [BEAT-1:0]        in_data,
    output      logic                   out_valid,
    input  wire logic                   out_ready,
    output      logic [KERNEL*BEAT-1:0] out_data   // the first tap in the low bits
);
    logic has_room, enough;

    // ------------------------------------------------------------------------------------------------- writer
    logic [ADDR-1:0]  write_q;
    logic [PLACE-1:0] bank_q;
    logic             take;

    assign in_ready = has_room;
    assign take     = in_valid && has_room;

    always_ff @(posedge clk) begin
        if (take) begin
            write_q <= write_q == ADDR'(INNER - 1) ? '0 : write_q + 1'b1;
            if (write_q == ADDR'(INNER - 1)) bank_q <= bank_q == PLACE'(BANKS - 1) ? '0 : bank_q + 1'b1;
        end
        if (rst) begin
            write_q <= '0;
            bank_q  <= '0;
        end
    end

    // ------------------------------------------------------------------------------------------------- reader
    wire  [ADDR-1:0]     read;
    wire  [REPBITS-1:0]  again;
    wire  [STEPBITS-1:0] step;
    wire                 last_read, last_repeat, last_step;
    logic                first_repeat_q, move, issue, end_step, valid_q, late_valid_q, out_valid_q;
    wire                 unused = &{1'b0, again};  // only whether it is at its first or last value

    assign move     = out_ready || !out_valid_q;
    assign issue    = move && enough;
    assign end_step = issue && last_read && last_repeat;

    fg_ring_counter #(.COUNT(INNER)) u_read (.clk(clk), .rst(rst), .step(issue), .count(read), .last(last_read));
    fg_ring_counter #(.COUNT(REPEAT)) u_repeat (
        .clk(clk), .rst(rst), .step(issue && last_read), .count(again), .last(last_repeat)
    );
    fg_ring_counter #(.COUNT(OUT)) u_step (.clk(clk), .rst(rst), .step(end_step), .count(step), .last(last_step));

    always_ff @(posedge clk) begin
        if (issue && last_read) first_repeat_q <= last_repeat;
        if (rst) first_repeat_q <= 1'b1;
    end

    // ------------------------------------------------------------------------- what is there, and what may go
    // `margin_q`: beats written beyond the last one under the kernel; below zero the reader waits. That last one is in
    // step min(first + KERNEL, LENGTH) - 1. `room_q`: one less than the beats that may still be written before one is
    // overwritten that is wanted: what lies before the kernel's first step, and of that step what will not be read again.
    localparam int AHEAD      = KERNEL - PAD < LENGTH ? KERNEL - PAD - 1 : LENGTH - 1;  // of the first output step
    localparam int WHOLE      = (LENGTH - 1 - AHEAD) / STRIDE;                          // moves by the whole stride
    localparam int REST       = (LENGTH - 1 - AHEAD) % STRIDE;
    localparam int LAST_AHEAD = WHOLE < OUT - 1 ? LENGTH - 1 : AHEAD + (OUT - 1) * STRIDE;
    localparam int STAYS      = PAD / STRIDE;                                           // output steps that free nothing
    localparam int LAST_FIRST = (OUT - 1) * STRIDE > PAD ? (OUT - 1) * STRIDE - PAD : 0;

    localparam logic signed [COUNTBITS-1:0] ONE        = COUNTBITS'(1);
    localparam logic signed [COUNTBITS-1:0] NEED_WHOLE = COUNTBITS'((STRIDE - 1) * INNER + 1);
    localparam logic signed [COUNTBITS-1:0] NEED_REST  = COUNTBITS'((REST - 1) * INNER + 1);
    localparam logic signed [COUNTBITS-1:0] NEED_SAME  = COUNTBITS'(1 - INNER);
    localparam logic signed [COUNTBITS-1:0] NEED_PASS  = COUNTBITS'((LENGTH + AHEAD - LAST_AHEAD - 1) * INNER + 1);
    localparam logic signed [COUNTBITS-1:0] FREE_FIRST = COUNTBITS'(((STAYS + 1) * STRIDE - PAD - 1) * INNER + 1);
    localparam logic signed [COUNTBITS-1:0] FREE_WHOLE = COUNTBITS'((STRIDE - 1) * INNER + 1);
    localparam logic signed [COUNTBITS-1:0] FREE_PASS  = COUNTBITS'((LENGTH - LAST_FIRST - 1) * INNER + 1);

    logic signed [COUNTBITS-1:0] margin_q, room_q, need, free;
    logic                        whole_q, rest_q;            // the next move
    logic                        no_free_q, first_free_q;    // what the present output step frees

    assign enough   = !margin_q[COUNTBITS-1];
    assign has_room = !room_q[COUNTBITS-1];
    assign need     = !last_read   ? (first_repeat_q ? ONE : '0)
                    : !last_repeat ? '0
                    : last_step    ? NEED_PASS
                    : whole_q        ? NEED_WHOLE
                    : rest_q         ? NEED_REST : NEED_SAME;
    assign free     = !last_repeat || (no_free_q && !last_step) ? '0
                    : !last_read ? ONE
                    : last_step  ? FREE_PASS
                    : first_free_q ? FREE_FIRST : FREE_WHOLE;

    always_ff @(posedge clk) begin
        margin_q <= margin_q - (issue ? need : '0) + COUNTBITS'(take);
        room_q   <= room_q + (issue ? free : '0) - COUNTBITS'(take);
        if (end_step) begin
            whole_q      <= last_step ? WHOLE > 0 : whole_q && int'(step) != WHOLE - 1;
            rest_q       <= last_step ? WHOLE == 0 : whole_q && int'(step) == WHOLE - 1;
            no_free_q    <= last_step ? STAYS > 0 : no_free_q && int'(step) != STAYS - 1;
            first_free_q <= last_step ? STAYS == 0 : no_free_q && int'(step) == STAYS - 1;
        end
        if (rst) begin
            margin_q     <= -$signed(COUNTBITS'(AHEAD * INNER + 1));
            room_q       <= COUNTBITS'(BANKS * INNER - 1);
            whole_q      <= WHOLE > 0;
            rest_q       <= WHOLE == 0;
            no_free_q    <= STAYS > 0;
            first_free_q <= STAYS == 0;
        end
    end

    // ---------------------------------------------------------------------------- where the kernel's taps lie
    localparam int START     = (BANKS - PAD % BANKS) % BANKS;
    localparam int NEXT_STEP = STRIDE % BANKS;
    localparam int NEXT_PASS = (LENGTH - (OUT - 1) * STRIDE + BANKS * OUT * STRIDE) % BANKS;
    logic signed [AXISBITS-1:0] first_q;  // the step under the first tap
    logic [PLACE-1:0]           place_q;  // its bank
    logic [PLACE:0]             next_place;

    assign next_place = {1'b0, place_q} + (PLACE+1)'(last_step ? NEXT_PASS : NEXT_STEP);

    always_ff @(posedge clk) begin
        if (end_step) begin
            first_q <= last_step ? -$signed(AXISBITS'(PAD)) : first_q + $signed(AXISBITS'(STRIDE));
            place_q <= PLACE'(next_place >= (PLACE+1)'(BANKS) ? next_place - (PLACE+1)'(BANKS) : next_place);
        end
        if (rst) begin
            first_q <= -$signed(AXISBITS'(PAD));
            place_q <= PLACE'(START);
        end
    end

    // ------------------------------------------------------------------------------------------------- output
    // A block RAM is slow: a register is all that stands behind it, then a bank or the padding is chosen.
    wire  [BANKS*BEAT-1:0] data;
    logic [BANKS*BEAT-1:0] late_q;

    genvar b, k;
    generate
        for (b = 0; b < BANKS; b = b + 1) begin : g_bank
            fg_ram #(.BITS(BEAT), .DEPTH(INNER), .ADDR(ADDR), .SLICE(SLICE)) u_ram (
                .clk(clk),
                .write(take && bank_q == PLACE'(b)), .write_address(write_q), .write_data(in_data),
                .read(move), .read_address(read), .read_data(data[b*BEAT +: BEAT])
            );
        end

        for (k = 0; k < KERNEL; k = k + 1) begin : g_tap
            wire signed [AXISBITS-1:0] place_of  = first_q + $signed(AXISBITS'(k));
            wire [PLACE:0]             bank      = {1'b0, place_q} + (PLACE+1)'(k);
            logic                      outside_q, late_outside_q;
            logic [PLACE-1:0]          from_q, late_from_q;
            logic [BEAT-1:0]           out_q;

            always_ff @(posedge clk) begin
                if (move) begin
                    outside_q      <= place_of < 0 || place_of >= $signed(AXISBITS'(LENGTH));
                    late_outside_q <= outside_q;
                    from_q         <= PLACE'(bank >= (PLACE+1)'(BANKS) ? bank - (PLACE+1)'(BANKS) : bank);
                    late_from_q    <= from_q;
                    out_q          <= late_outside_q ? {LANES{BITS'(PAD_VALUE)}} : late_q[late_from_q*BEAT +: BEAT];
                end
            end
            assign out_data[k*BEAT +: BEAT] = out_q;
        end
    endgenerate

    always_ff @(posedge clk) begin
        if (move) begin
            late_q       <= data;
            valid_q      <= enough;
            late_valid_q <= valid_q;
            out_valid_q  <= late_valid_q;
        end
        if (rst) begin
            valid_q      <= 1'b0;
            late_valid_q <= 1'b0;
            out_valid_q  <= 1'b0;
        end
    end

    assign out_valid = out_valid_q;

`ifndef SYNTHESIS
    initial if (LANES < 1 || BITS < 1 || INNER < 1 || LENGTH < 1 || OUT < 1 || STRIDE < 1 || REPEAT < 1)
        $fatal(1, "%m: LANES=%0d, BITS=%0d, INNER=%0d, LENGTH=%0d, OUT=%0d, STRIDE=%0d and REPEAT=%0d must be at least 1",
               LANES, BITS, INNER, LENGTH, OUT, STRIDE, REPEAT);
    initial if (KERNEL < 1 || PAD < 0 || PAD >= KERNEL || BANKS < KERNEL)
        $fatal(1, "%m: KERNEL=%0d must be more than PAD=%0d and no more than BANKS=%0d", KERNEL, PAD, BANKS);
    fg_stream_check #(.BITS(KERNEL*BEAT)) u_check (
        .clk(clk), .rst(rst), .valid(out_valid), .ready(out_ready), .data(out_data),
        .in_range(int'(write_q) < INNER && int'(read) < INNER && int'(bank_q) < BANKS && int'(place_q) < BANKS && room_q >= -1)
    );
`endif
endmodule
`default_nettype wire
