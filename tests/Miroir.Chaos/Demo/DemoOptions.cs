using System.Globalization;

namespace Miroir.Chaos.Demo;

/// <summary>What the demo is asked to do.</summary>
internal sealed record DemoOptions
{
    public const string Usage = """
        usage: demo [options]
          --kill coordinator|node|router   SIGKILL it after the first shard has switched, and start it again
          --revert                         go back to the old owners once every shard has switched
          --kill targets                   with --revert: SIGKILL the new node first, so that nothing can be asked of it
          --clock-skew SECONDS             routers whose clocks are so far apart (two or more of them)
          --input FILE.ndjson              documents to load instead of this machine's package index
          --primary-key FIELD              the field that identifies them (default: package, or id with --input)
          --documents N                    load at most N of them
          --replication N                  copies of each document (default 1)
          --routers N                      router processes (default 1; 2 with --kill router)
          --clients N                      concurrent clients that write and read (default 24)
          --rate N                         operations per second that they aim at together (default 1500)
          --data DIR                       where the cluster's files go (default: a temporary folder, deleted at the end)
          --no-control                     leave out the control at the end
          --keep                           leave the cluster running, and print what to try
        """;

    public string Kill { get; init; } = "";

    /// <summary>The migration is undone after its activation, instead of ended.</summary>
    public bool Revert { get; init; }

    /// <summary>Between the first router's clock and the last one's.</summary>
    public int ClockSkewSeconds { get; init; }
    public string Input { get; init; } = "";
    public string PrimaryKey { get; init; } = "";
    public int MaxDocuments { get; init; } = int.MaxValue;
    public int Replication { get; init; } = 1;

    /// <summary>0: one, or two where one is to be killed.</summary>
    public int RoutersAsked { get; init; }
    public int Routers =>
        RoutersAsked > 0 ? RoutersAsked
        : Kill == "router" || ClockSkewSeconds > 0 ? 2
        : 1;
    public int Clients { get; init; } = 24;
    public int Rate { get; init; } = 1500;
    public string Data { get; init; } = "";
    public bool Keep { get; init; }
    public bool Control { get; init; } = true;

    /// <summary>The small run whose delta pass is cut out: it is to find loss, not to avoid it.</summary>
    public bool IsControl { get; init; }

    public int OldShards => IsControl ? 4 : 16;
    public int NewShards => IsControl ? 8 : 64;

    /// <exception cref="ArgumentException">Which argument is wrong, and what was expected.</exception>
    public static DemoOptions Parse(IReadOnlyList<string> arguments)
    {
        var options = new DemoOptions();
        for (var i = 0; i < arguments.Count; i++)
        {
            var name = arguments[i];
            string Next() =>
                i + 1 < arguments.Count
                    ? arguments[++i]
                    : throw new ArgumentException($"{name} needs a value\n{Usage}");
            int Number(int least)
            {
                var text = Next();
                return int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var n) && n >= least
                    ? n
                    : throw new ArgumentException($"{name} must be a whole number of {least} or more, not '{text}'");
            }

            options = name switch
            {
                "--kill" => options with { Kill = Next() },
                "--revert" => options with { Revert = true, Control = false },
                "--clock-skew" => options with { ClockSkewSeconds = Number(1) },
                "--input" => options with { Input = Next() },
                "--primary-key" => options with { PrimaryKey = Next() },
                "--documents" => options with { MaxDocuments = Number(100) },
                "--replication" => options with { Replication = Number(1) },
                "--routers" => options with { RoutersAsked = Number(1) },
                "--clients" => options with { Clients = Number(1) },
                "--rate" => options with { Rate = Number(1) },
                "--data" => options with { Data = Next() },
                "--no-control" => options with { Control = false },
                "--control" => options with { IsControl = true, Control = false },
                "--keep" => options with { Keep = true },
                _ => throw new ArgumentException($"'{name}' is no option of the demo\n{Usage}"),
            };
        }

        string[] victims = options.Revert ? ["", "targets"] : ["", "coordinator", "node", "router"];
        if (!victims.Contains(options.Kill))
            throw new ArgumentException(
                options.Revert
                    ? $"--kill must be targets where there is --revert, not '{options.Kill}'"
                    : $"--kill must be coordinator, node or router (or targets, with --revert), not '{options.Kill}'"
            );
        if (options.ClockSkewSeconds > 0 && options.Routers < 2)
            throw new ArgumentException("--clock-skew needs two routers or more: leave --routers out, or give more");
        if (options.Input != "" && !File.Exists(options.Input))
            throw new ArgumentException($"--input: there is no file '{options.Input}'");
        if (options.Replication > 3)
            throw new ArgumentException(
                $"--replication must be 1 to 3, since the demo starts with three nodes, not {options.Replication}"
            );
        return options;
    }
}
