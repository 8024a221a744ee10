// A whole iCE40, as it was routed, on its board: the pads, and what the board and the chip add to
// the netlist (routed.py).  CLOCK_PIN is the name of the pad that the PLL gets its reference from.
module netlist(
    // The PLL's output: the reference itself is not simulated.
    input wire clk,
    // Its second one, as late as the capture clock is in the end.
    input wire late,
    input wire uart_rx,
    output wire uart_tx,
    output wire flash_cs_n,
    output wire flash_sck,
    inout wire [3:0] flash_dq,
    output wire busy
);
    wire led_n, rx;
    assign busy = ~led_n;
    // Pads are inout.
    assign rx = uart_rx;

    // Until the first clock no pad is driven; the board pulls these up.
    pullup(flash_cs_n);
    pullup(uart_tx);
    pullup(led_n);

    top top(
        .`CLOCK_PIN(clk),
        .late(late),
        .uart_0__rx__io(rx),
        .uart_0__tx__io(uart_tx),
        .spi_flash_4x_0__cs__io(flash_cs_n),
        .spi_flash_4x_0__clk__io(flash_sck),
        .spi_flash_4x_0__dq__io(flash_dq),
        .led_g_0__io(led_n)
    );
endmodule

// The PLL gives its clock all the time, and says that it is locked twice: the first time it errs.
module NetlistPll (
    input wire REFERENCECLK, LATE, BYPASS, RESETB,
    output wire PLLOUT_A, LOCK
);
    reg [9:0] age = 0;

    assign PLLOUT_A = LATE;
    assign LOCK = RESETB && !BYPASS && (age >= 300 && age < 700 || age == 1023);

    always @(posedge REFERENCECLK)
        if (age != 1023) age <= age + 1;
endmodule

module NetlistBuffer (
    input wire USER_SIGNAL_TO_GLOBAL_BUFFER,
    output wire GLOBAL_BUFFER_OUTPUT
);
    assign GLOBAL_BUFFER_OUTPUT = USER_SIGNAL_TO_GLOBAL_BUFFER;
endmodule

// A logic cell: LUT, carry and flip-flop, any of them unused.
module NetlistCell #(
    parameter [15:0] LUT_INIT = 0,
    parameter [0:0] CARRY_ENABLE = 0, CIN_CONST = 0, CIN_SET = 0,
    parameter [0:0] DFF_ENABLE = 0, NEG_CLK = 0, ASYNC_SR = 0, SET_NORESET = 0
) (
    input wire I0, I1, I2, I3, CIN, CLK, CEN, SR,
    output wire O, LO, COUT
);
    wire carry = CIN_CONST ? CIN_SET : CIN;
    wire lut = LUT_INIT[{I3, I2, I1, I0}];
    reg q = 0;

    assign COUT = CARRY_ENABLE && (I1 && I2 || (I1 || I2) && carry);
    assign LO = lut;
    assign O = DFF_ENABLE ? q : lut;

    generate
        // A reset at the clock is for enabled cycles only.
        if (DFF_ENABLE && !ASYNC_SR && !NEG_CLK)
            always @(posedge CLK) if (CEN) q <= SR ? SET_NORESET : lut;
        if (DFF_ENABLE && !ASYNC_SR && NEG_CLK)
            always @(negedge CLK) if (CEN) q <= SR ? SET_NORESET : lut;
        if (DFF_ENABLE && ASYNC_SR && !NEG_CLK)
            always @(posedge CLK, posedge SR) if (SR) q <= SET_NORESET; else if (CEN) q <= lut;
        if (DFF_ENABLE && ASYNC_SR && NEG_CLK)
            always @(negedge CLK, posedge SR) if (SR) q <= SET_NORESET; else if (CEN) q <= lut;
    endgenerate
endmodule

// A block RAM that reads anything from the bits that are written in the same cycle.  The vendor's
// documents do not say what they are, and the flow removes the logic that would hide them.
module NetlistRam #(
    parameter READ_MODE = 0, WRITE_MODE = 0,
    parameter [255:0] INIT_0 = 0, INIT_1 = 0, INIT_2 = 0, INIT_3 = 0,
    parameter [255:0] INIT_4 = 0, INIT_5 = 0, INIT_6 = 0, INIT_7 = 0,
    parameter [255:0] INIT_8 = 0, INIT_9 = 0, INIT_A = 0, INIT_B = 0,
    parameter [255:0] INIT_C = 0, INIT_D = 0, INIT_E = 0, INIT_F = 0
) (
    output wire [15:0] RDATA,
    input wire RCLK, RCLKE, RE,
    input wire [10:0] RADDR,
    input wire WCLK, WCLKE, WE,
    input wire [10:0] WADDR,
    input wire [15:0] MASK, WDATA
);
    wire [15:0] data;
    reg [15:0] noise = 0;
    // Ports of different widths: wherever the rows are the same.
    wire same = READ_MODE == WRITE_MODE ? RADDR == WADDR : RADDR[7:0] == WADDR[7:0];

    assign RDATA = data ^ noise;

    always @(posedge RCLK)
        if (RE && RCLKE) begin
            if (same && WE && WCLKE)
                noise <= $urandom & (READ_MODE == 0 && WRITE_MODE == 0 ? ~MASK : 16'hffff);
            else
                noise <= 0;
        end

    SB_RAM40_4K #(
        .READ_MODE(READ_MODE), .WRITE_MODE(WRITE_MODE),
        .INIT_0(INIT_0), .INIT_1(INIT_1), .INIT_2(INIT_2), .INIT_3(INIT_3),
        .INIT_4(INIT_4), .INIT_5(INIT_5), .INIT_6(INIT_6), .INIT_7(INIT_7),
        .INIT_8(INIT_8), .INIT_9(INIT_9), .INIT_A(INIT_A), .INIT_B(INIT_B),
        .INIT_C(INIT_C), .INIT_D(INIT_D), .INIT_E(INIT_E), .INIT_F(INIT_F)
    ) ram(
        .RDATA(data), .RCLK(RCLK), .RCLKE(RCLKE), .RE(RE), .RADDR(RADDR),
        .WCLK(WCLK), .WCLKE(WCLKE), .WE(WE), .WADDR(WADDR), .MASK(MASK), .WDATA(WDATA)
    );
endmodule

// An IO cell, as Yosys' model of it but for what Verilator does not take: a clock enable that may
// be unconnected, and delays that hide glitches.
module NetlistIo #(
    parameter [5:0] PIN_TYPE = 0,
    parameter [0:0] PULLUP = 0, NEG_TRIGGER = 0,
    parameter IO_STANDARD = ""
) (
    inout wire PACKAGE_PIN,
    input wire LATCH_INPUT_VALUE, CLOCK_ENABLE, INPUT_CLK, OUTPUT_CLK, OUTPUT_ENABLE,
    input wire D_OUT_0, D_OUT_1,
    output wire D_IN_0, D_IN_1
);
    reg in_0 = 0, in_1 = 0, out_0 = 0, out_1 = 0, enable = 0;

    generate if (NEG_TRIGGER || PIN_TYPE[1]) $error("not modelled"); endgenerate

    always @(posedge INPUT_CLK) if (CLOCK_ENABLE) in_0 <= PACKAGE_PIN;
    always @(negedge INPUT_CLK) if (CLOCK_ENABLE) in_1 <= PACKAGE_PIN;
    always @(posedge OUTPUT_CLK) if (CLOCK_ENABLE) {out_0, enable} <= {D_OUT_0, OUTPUT_ENABLE};
    always @(negedge OUTPUT_CLK) if (CLOCK_ENABLE) out_1 <= D_OUT_1;

    assign D_IN_0 = PIN_TYPE[0] ? PACKAGE_PIN : in_0;
    assign D_IN_1 = in_1;

    wire out = PIN_TYPE[3] ? (PIN_TYPE[2] ? !out_0 : D_OUT_0)
                           : (OUTPUT_CLK || PIN_TYPE[2] ? out_0 : out_1);

    generate
        if (PIN_TYPE[5:4] == 2'b01) assign PACKAGE_PIN = out;
        if (PIN_TYPE[5:4] == 2'b10) assign PACKAGE_PIN = OUTPUT_ENABLE ? out : 1'bz;
        if (PIN_TYPE[5:4] == 2'b11) assign PACKAGE_PIN = enable ? out : 1'bz;
    endgenerate
endmodule
