%% A door into the server for the tests: a socket in its folder takes one expression a connection, and answers
%% "ok" or "no" and the value as text. rabbitmqctl can do the same, in 1.5 s instead of 2 ms.
spawn(fun() ->
    file:delete(Socket),
    {ok, Door} = gen_tcp:listen(0, [binary, {ifaddr, {local, Socket}}, {packet, 4}, {active, false}]),
    Text = fun(Value) ->
        try unicode:characters_to_binary(Value) of
            Readable when is_binary(Readable) -> Readable;
            _ -> error(badarg)
        catch _:_ -> unicode:characters_to_binary(io_lib:format("~0tp", [Value]))
        end
    end,
    Evaluate = fun(Source) ->
        try
            {ok, Tokens, _} = erl_scan:string(unicode:characters_to_list(Source)),
            {ok, Expressions} = erl_parse:parse_exprs(Tokens),
            {value, Value, _} = erl_eval:exprs(Expressions, []),
            [<<"ok">>, Text(Value)]
        catch Class:Reason:Stack -> [<<"no">>, Text({Class, Reason, Stack})]
        end
    end,
    Serve = fun(Caller) ->
        case gen_tcp:recv(Caller, 0) of
            {ok, Source} -> gen_tcp:send(Caller, Evaluate(Source));
            {error, closed} -> gone
        end,
        gen_tcp:close(Caller)
    end,
    Accept = fun Again() ->
        {ok, Caller} = gen_tcp:accept(Door),
        spawn(fun() -> Serve(Caller) end),
        Again()
    end,
    Accept()
end).
