using System.Net;
using System.Reflection;
using System.Text;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;
using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Miroir.Ports;
using Miroir.Server.Admin;
using Miroir.Server.Routers;
using Miroir.Server.Tests.Api;

namespace Miroir.Server.Tests.Admin;

/// <summary>Anti-entropy that remembers what it was asked, and answers with what a test says.</summary>
internal sealed class FakeAntiEntropy : IAntiEntropy
{
    public AdminReply<AntiEntropyView> View { get; set; } =
        AdminReply<AntiEntropyView>.Error("index_not_found", "none");
    public AdminReply<PassView[]> Passes { get; set; } = AdminReply<PassView[]>.Error("index_not_found", "none");
    public AdminReply<PassView> One { get; set; } = AdminReply<PassView>.Error("pass_not_found", "none");

    /// <summary>Method and arguments of each call.</summary>
    public List<string> Asked { get; } = [];

    public List<PassRequest> Started { get; } = [];

    public Task<AdminReply<AntiEntropyView>> State(string index, CancellationToken cancel) =>
        Answer($"State {index}", View);

    public Task<AdminReply<PassView[]>> History(string index, int limit, CancellationToken cancel) =>
        Answer($"History {index} {limit}", Passes);

    public Task<AdminReply<PassView>> Start(PassRequest request, CancellationToken cancel)
    {
        Started.Add(request);
        return Answer("Start", One);
    }

    public Task<AdminReply<PassView>> Pass(long id, CancellationToken cancel) => Answer($"Pass {id}", One);

    private Task<T> Answer<T>(string call, T reply)
    {
        Asked.Add(call);
        return Task.FromResult(reply);
    }
}

/// <summary>The admin API over a fake, listening on a free port of the loopback, and a router's way to it on another.</summary>
internal sealed class AdminServer : IAsyncDisposable
{
    /// <summary>Stands in where nothing but anti-entropy is asked.</summary>
    public class NoAdmin : DispatchProxy
    {
        protected override object Invoke(MethodInfo? method, object?[]? arguments) =>
            throw new InvalidOperationException($"{method?.Name} was asked");
    }

    private readonly WebApplication coordinator;
    private readonly WebApplication router;
    private readonly AdminForwarder forwarder;

    private AdminServer(WebApplication coordinator, WebApplication router, AdminForwarder forwarder)
    {
        (this.coordinator, this.router, this.forwarder) = (coordinator, router, forwarder);
        Http = new HttpClient { BaseAddress = new Uri(Address) };
    }

    public HttpClient Http { get; }

    public string Address => AddressOf(coordinator);

    public string RouterAddress => AddressOf(router);

    public static async Task<AdminServer> StartAsync(IAntiEntropy antiEntropy)
    {
        var coordinator = await ListenAsync(app =>
            AdminEndpoints.Map(app, DispatchProxy.Create<IAdmin, NoAdmin>(), antiEntropy)
        );
        var forwarder = new AdminForwarder(AddressOf(coordinator));
        return new AdminServer(coordinator, await ListenAsync(forwarder.Map), forwarder);
    }

    public async Task<ApiReply> SendAsync(string method, string path, string? body = null, bool viaRouter = false)
    {
        using var request = new HttpRequestMessage(
            new HttpMethod(method),
            new Uri(new Uri(viaRouter ? RouterAddress : Address), path)
        );
        if (body is not null)
            request.Content = new StringContent(body, Encoding.UTF8, "application/json");
        using var response = await Http.SendAsync(request);
        return await ApiReply.OfAsync(response);
    }

    public async ValueTask DisposeAsync()
    {
        Http.Dispose();
        await router.DisposeAsync();
        forwarder.Dispose();
        await coordinator.DisposeAsync();
    }

    private static string AddressOf(WebApplication app) =>
        app.Services.GetRequiredService<IServer>().Features.Get<IServerAddressesFeature>()!.Addresses.First();

    private static async Task<WebApplication> ListenAsync(Action<IEndpointRouteBuilder> map)
    {
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.WebHost.UseKestrel(kestrel => kestrel.Limits.MaxRequestBodySize = null).UseUrls("http://127.0.0.1:0");
        var app = builder.Build();
        map(app);
        await app.StartAsync();
        return app;
    }
}
