// The core as the harness drives it: every input is registered.  What the harness sets is what the
// core sees from the next clock edge on, and between two edges nothing has to be evaluated again.
module board(
    input wire clk,
    input wire rst,
    input wire [7:0] flash_i,
    input wire request_valid,
    input wire request_write,
    input wire request_register,
    input wire [15:0] request_address,
    input wire [15:0] request_data,
    input wire [1:0] uart_rx,
    output wire [1:0] uart_tx,
    output wire request_ready,
    output wire response_valid,
    output wire [15:0] response_data,
    output wire flash_cs_n,
    output wire [1:0] flash_sck,
    output wire [3:0] flash_o,
    output wire [3:0] flash_oe,
    output wire busy,
    output wire layer_done,
    output wire [2:0] tap
);
    reg rst_q = 1;
    reg [1:0] rx_q = 3;
    reg [7:0] i_q = 255;
    reg valid_q = 0, write_q = 0, register_q = 0;
    reg [15:0] address_q = 0, data_q = 0;

    always @(posedge clk) begin
        rst_q <= rst;
        i_q <= flash_i;
        rx_q <= uart_rx;
        valid_q <= request_valid;
        write_q <= request_write;
        register_q <= request_register;
        address_q <= request_address;
        data_q <= request_data;
    end

    top top(
        .clk(clk),
        .rst(rst_q),
        .flash_cs_n(flash_cs_n),
        .flash_sck(flash_sck),
        .flash_o(flash_o),
        .flash_oe(flash_oe),
        .flash_i(i_q),
        .request_valid(valid_q),
        .request_write(write_q),
        .request_register(register_q),
        .request_address(address_q),
        .request_data(data_q),
        .request_ready(request_ready),
        .response_valid(response_valid),
        .response_ready(1'b1),
        .response_data(response_data),
        .uart_rx(rx_q),
        .uart_tx(uart_tx),
        .busy(busy),
        .layer_done(layer_done),
        .tap(tap)
    );
endmodule
