// The simulated core with its board (board.cpp), for cocotb.
module bench(
    input wire clk,
    input wire rst,
    output wire busy,
    output wire layer_done,
    output wire host_idle
);
    import "DPI-C" function int bench_flash(
        input int cs_n, input int sck, input int o, input int oe);
    import "DPI-C" function longint bench_host(
        input int request_ready, input int response_valid, input int response_data);

    wire cs_n;
    wire [1:0] sck;
    wire [3:0] o, oe;
    reg [7:0] i = 8'hff;
    wire request_ready, response_valid;
    wire [15:0] response_data;
    reg [35:0] host = 0;
    assign host_idle = host[35];

    always @(posedge clk) begin
        i <= bench_flash({31'd0, cs_n}, {30'd0, sck}, {28'd0, o}, {28'd0, oe}) & 255;
        host <= bench_host({31'd0, request_ready}, {31'd0, response_valid}, {16'd0, response_data});
    end

    top top(
        .clk(clk),
        .rst(rst),
        .uart_rx(2'b11),
        .uart_tx(),
        .busy(busy),
        .layer_done(layer_done),
        .flash_cs_n(cs_n),
        .flash_sck(sck),
        .flash_o(o),
        .flash_oe(oe),
        .flash_i(i),
        .request_valid(host[34]),
        .request_write(host[33]),
        .request_register(host[32]),
        .request_address(host[31:16]),
        .request_data(host[15:0]),
        .request_ready(request_ready),
        .response_valid(response_valid),
        .response_ready(1'b1),
        .response_data(response_data)
    );
endmodule
