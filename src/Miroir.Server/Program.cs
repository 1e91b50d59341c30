using Miroir.Ports;
using Miroir.Server.Commands;
using Miroir.Server.Hosts;

namespace Miroir.Server;

/// <summary>The `miroir` program. Exit status: 0 done, 1 failed, 2 wrong usage.</summary>
internal static class Program
{
    private const string Usage = """
        miroir - shards and replicates JSON documents over nodes

          miroir node        --name N --data DIR [--listen 127.0.0.1:7701]
          miroir router      --name R --data DIR --coordinator URL [--listen 127.0.0.1:7700] [--advertise URL]
          miroir coordinator --data DIR [--listen 127.0.0.1:7710] [--node NAME=ADDRESS ...]
          miroir serve       --data DIR [--name R] [--listen 127.0.0.1:7700] [--node NAME=ADDRESS ...]
                             router and coordinator in one process, on one port
          miroir up          [--nodes 3] [--data DIR] [--listen 127.0.0.1:7700]
                             everything on this machine, for trying out
          miroir version

        All but `up` take --config FILE (else MIROIR_CONFIG, else ./miroir.toml). An address that is not loopback is
        refused unless --insecure is given. With --stop-with-stdin a process stops when its standard input ends.
        """;

    private static async Task<int> Main(string[] arguments)
    {
        if (arguments is [] or ["help" or "--help" or "-h", ..] || arguments.Contains("--help"))
        {
            Console.WriteLine(Usage);
            return arguments is [] ? 2 : 0;
        }
        var command = arguments[0];
        var options = new Arguments(command, arguments[1..]);
        try
        {
            switch (command)
            {
                case "node":
                    return await ProcessCommands.Node(options);
                case "router":
                    return await ProcessCommands.Router(options);
                case "coordinator":
                    return await ProcessCommands.Coordinator(options);
                case "serve":
                    return await ProcessCommands.Serve(options);
                case "up":
                    return await UpCommand.RunAsync(options);
                case "version" or "--version":
                    Console.WriteLine($"miroir {Build.Version}");
                    return 0;
                default:
                    throw new UsageException(
                        $"`{command}` is not a command; expected node, router, coordinator, serve, up or version"
                    );
            }
        }
        catch (UsageException e)
        {
            await Console.Error.WriteLineAsync($"miroir: {e.Message}");
            return 2;
        }
        catch (Exception e)
            when (e
                    is IOException
                        or InvalidDataException
                        or UnauthorizedAccessException
                        or InvalidOperationException
                        or TimeoutException
                        or UnreachableException
                        or ArgumentException
                        or Stores.Sqlite.Native.SqliteException
            )
        {
            await Console.Error.WriteLineAsync($"miroir {command}: {e.Message}");
            return 1;
        }
    }
}
