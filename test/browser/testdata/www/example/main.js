// The client's side of the chat example's events, as that page uses them.
$(function () {
  var socket = io(), name, connected = false, typing = false;
  var line = function (text, kind) { $("<li>").addClass(kind).text(text).appendTo(".messages"); };
  var count = function (data) { line(data.numUsers === 1 ? "there's 1 participant" : "there are " + data.numUsers + " participants", "log"); };
  var quiet = function (data) { $(".typing").filter(function () { return $(this).data("name") === data.username; }).remove(); };

  $(".username").keydown(function (event) {
    if (event.which !== 13 || !$(this).val()) return;
    name = $(this).val();
    $(".login").hide();
    $(".room").show();
    socket.emit("add user", name);
  });
  $(".message").on("input", function () {
    if (connected && !typing) socket.emit("typing");
    typing = true;
  }).keydown(function (event) {
    if (event.which !== 13 || !connected) return;
    line(name + ": " + $(this).val(), "said");
    socket.emit("new message", $(this).val());
    socket.emit("stop typing");
    typing = false;
    $(this).val("");
  });

  socket.on("login", function (data) { connected = true; line("Welcome", "log"); count(data); });
  socket.on("new message", function (data) { quiet(data); line(data.username + ": " + data.message, "said"); });
  socket.on("user joined", function (data) { line(data.username + " joined", "log"); count(data); });
  socket.on("user left", function (data) { quiet(data); line(data.username + " left", "log"); count(data); });
  socket.on("typing", function (data) { $("<li class=typing>").text(data.username + " is typing").data("name", data.username).appendTo(".messages"); });
  socket.on("stop typing", quiet);
});
