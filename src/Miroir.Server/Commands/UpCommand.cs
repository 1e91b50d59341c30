using System.Runtime.InteropServices;
using Miroir.Server.Hosts;

namespace Miroir.Server.Commands;

/// <summary><c>miroir up</c>: a whole cluster on this machine, for trying out.</summary>
internal static class UpCommand
{
    public static async Task<int> RunAsync(Arguments arguments)
    {
        var count = arguments.Integer("--nodes", 3, 1, 64);
        var kept = arguments.Text("--data", "DIR");
        var insecure = arguments.Flag("--insecure");
        var listen = arguments.Listen(new BindAddress(System.Net.IPAddress.Loopback, 7700), insecure);
        arguments.End();
        var data = kept ?? Directory.CreateTempSubdirectory("miroir-up-").FullName;
        using var asked = new CancellationTokenSource();
        void OnSignal(PosixSignalContext context)
        {
            context.Cancel = true;
            asked.Cancel();
        }
        using var terminate = PosixSignalRegistration.Create(PosixSignal.SIGTERM, OnSignal);
        using var interrupt = PosixSignalRegistration.Create(PosixSignal.SIGINT, OnSignal);
        var children = new List<ChildProcess>();
        try
        {
            await StartAll(children, count, data, listen, insecure, asked.Token);
            Print(children, kept, data);
            var ended = await Task.WhenAny(
                children.Select(c => c.Ended).Prepend(Task.Delay(Timeout.Infinite, asked.Token))
            );
            if (asked.IsCancellationRequested)
                return 0;
            var gone = children.First(c => c.Ended == ended || c.Ended.IsCompleted);
            await Console.Error.WriteLineAsync($"miroir up: {gone.Name} ended by itself; stopping the others");
            return 1;
        }
        catch (OperationCanceledException) when (asked.IsCancellationRequested)
        {
            return 0;
        }
        finally
        {
            // The router first: it still has nodes to end its writes on.
            foreach (var child in children.AsEnumerable().Reverse())
                await child.DisposeAsync();
            if (kept is null)
                Directory.Delete(data, recursive: true);
        }
    }

    private static async Task StartAll(
        List<ChildProcess> children,
        int count,
        string data,
        BindAddress listen,
        bool insecure,
        CancellationToken cancel
    )
    {
        var serve = new List<string> { "serve", "--data", Path.Combine(data, "serve"), "--listen", listen.ToString() };
        if (insecure)
            serve.Add("--insecure");
        for (var i = 1; i <= count; i++)
        {
            var name = $"n{i}";
            var directory = Path.Combine(data, name);
            Directory.CreateDirectory(directory);
            // The metadata know a node by its address: a later start of the same data must listen there again.
            var remembered = Path.Combine(directory, "listen");
            var address = File.Exists(remembered) ? await File.ReadAllTextAsync(remembered, cancel) : "127.0.0.1:0";
            var node = await ChildProcess.StartAsync(
                name,
                ["node", "--name", name, "--data", Path.Combine(directory, "data"), "--listen", address.Trim()],
                cancel
            );
            children.Add(node);
            await File.WriteAllTextAsync(remembered, node.Address["http://".Length..] + "\n", cancel);
            serve.AddRange(["--node", $"{name}={node.Address}"]);
        }
        children.Add(await ChildProcess.StartAsync("router and coordinator", serve, cancel));
    }

    private static void Print(List<ChildProcess> children, string? kept, string data)
    {
        foreach (var child in children)
            Console.WriteLine($"{child.Name, -24} {child.Address}  process {child.Id}");
        Console.WriteLine(kept is null ? $"data in {data}, deleted at the end" : $"data in {data}");
        var address = children[^1].Address;
        Console.WriteLine($"listening on {address}");
        Console.WriteLine("try:");
        Console.WriteLine(
            $"  curl -X POST '{address}/indexes/movies/documents' -H 'Content-Type: application/json' -d '[{{\"id\":1,\"title\":\"Solaris\"}}]'"
        );
        Console.WriteLine($"  curl '{address}/indexes/movies/documents/1'");
        Console.WriteLine($"  miroir-ctl cluster health --server {address}");
        Console.WriteLine("Ctrl-C stops everything.");
    }
}
