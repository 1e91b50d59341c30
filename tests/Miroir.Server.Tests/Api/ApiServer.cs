using System.Net;
using System.Net.Http.Headers;
using System.Text;
using System.Text.Json;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Miroir.Ports;
using Miroir.Server.Api;
using Miroir.Stores.Sqlite;

namespace Miroir.Server.Tests.Api;

/// <summary>The document API over a fake cluster, listening on a free port of the loopback.</summary>
internal sealed class ApiServer : IAsyncDisposable
{
    private sealed class Entropy : IEntropy
    {
        public Guid NewGuid() => Guid.NewGuid();

        public double NextDouble() => Random.Shared.NextDouble();

        public long NextInt64() => Random.Shared.NextInt64(1, long.MaxValue);
    }

    // Else the client itself would take `%2E%2E` for a step up.
    private static readonly UriCreationOptions AsWritten = new()
    {
        DangerousDisablePathAndQueryCanonicalization = true,
    };

    private readonly WebApplication app;
    private readonly DirectoryInfo folder;
    private readonly ITaskLog tasks;

    private ApiServer(WebApplication app, DirectoryInfo folder, ITaskLog tasks, FakeCluster cluster)
    {
        (this.app, this.folder, this.tasks, Cluster) = (app, folder, tasks, cluster);
        Address = app.Services.GetRequiredService<IServer>().Features.Get<IServerAddressesFeature>()!.Addresses.First();
        Http = new HttpClient { BaseAddress = new Uri(Address) };
    }

    public FakeCluster Cluster { get; }
    public string Address { get; }
    public HttpClient Http { get; }

    public static async Task<ApiServer> StartAsync(int router = 1, Func<ApiOptions, ApiOptions>? change = null)
    {
        var folder = Directory.CreateTempSubdirectory("miroir-api-");
        var tasks = new SqliteTaskLog(Path.Combine(folder.FullName, "tasks.db"), router);
        var cluster = new FakeCluster();
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.WebHost.UseKestrel().UseUrls("http://127.0.0.1:0");
        var app = builder.Build();
        var options = new ApiOptions
        {
            Entropy = new Entropy(),
            Peers = new HttpMessageInvoker(new SocketsHttpHandler()),
        };
        DocumentEndpoints.Map(app, cluster, cluster, tasks, cluster.Feed, change?.Invoke(options) ?? options);
        await app.StartAsync();
        return new ApiServer(app, folder, tasks, cluster);
    }

    public async Task<ApiReply> SendAsync(
        string method,
        string path,
        string? body = null,
        string? type = "application/json",
        params (string Name, string Value)[] headers
    ) => await SendAsync(method, path, body is null ? null : Encoding.UTF8.GetBytes(body), type, headers);

    public async Task<ApiReply> SendAsync(
        string method,
        string path,
        byte[]? body,
        string? type,
        params (string Name, string Value)[] headers
    )
    {
        using var request = new HttpRequestMessage(new HttpMethod(method), new Uri(Address + path, AsWritten));
        if (body is not null)
        {
            request.Content = new ByteArrayContent(body);
            if (type is not null)
                request.Content.Headers.ContentType = MediaTypeHeaderValue.Parse(type);
        }
        foreach (var (name, value) in headers)
            request.Headers.TryAddWithoutValidation(name, value);
        return await ApiReply.OfAsync(await Http.SendAsync(request));
    }

    /// <summary>A write, and the task that it became.</summary>
    public async Task<(ApiReply Reply, JsonElement Task)> WriteAsync(
        string method,
        string path,
        string? body = null,
        string type = "application/json",
        params (string Name, string Value)[] headers
    )
    {
        var reply = await SendAsync(method, path, body, type, headers);
        if (reply.Status != HttpStatusCode.Accepted)
            throw new InvalidOperationException($"{method} {path}: {(int)reply.Status} {reply.Text}");
        var task = await SendAsync("GET", $"/tasks/{reply.Json.GetProperty("taskUid").GetInt64()}");
        return (reply, task.Json);
    }

    /// <summary>As a process stops that is asked to.</summary>
    public Task StopAsync() => app.StopAsync();

    public async ValueTask DisposeAsync()
    {
        Http.Dispose();
        await app.DisposeAsync();
        await tasks.DisposeAsync();
        folder.Delete(recursive: true);
    }
}

internal sealed record ApiReply(HttpStatusCode Status, string Text, HttpResponseHeaders Headers)
{
    public JsonElement Json => JsonDocument.Parse(Text).RootElement;

    public string Code => Json.GetProperty("code").GetString()!;

    public string Message => Json.GetProperty("message").GetString()!;

    public static async Task<ApiReply> OfAsync(HttpResponseMessage response) =>
        new(response.StatusCode, await response.Content.ReadAsStringAsync(), response.Headers);
}
