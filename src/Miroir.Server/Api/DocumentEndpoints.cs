using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;
using Miroir.Core;
using Miroir.Ports;
using Miroir.Server.Http;

namespace Miroir.Server.Api;

/// <summary>
/// The document API: Meilisearch's routes and shapes for documents, indexes and tasks, so that its clients do document
/// work unchanged. docs/document-api.md has what is the same and what is not.
/// </summary>
public static class DocumentEndpoints
{
    /// <summary>What Meilisearch answers below its root and Miroir does not.</summary>
    private static readonly string[] Elsewhere =
    [
        "multi-search",
        "swap-indexes",
        "keys",
        "dumps",
        "snapshots",
        "experimental-features",
        "network",
        "batches",
        "webhooks",
        "chats",
        "dynamic-search-rules",
        "logs",
    ];

    public static void Map(
        IEndpointRouteBuilder app,
        IDocuments documents,
        ICoordinator coordinator,
        ITaskLog tasks,
        IChangeFeed feed,
        ApiOptions options
    )
    {
        var api = new ApiContext(documents, coordinator, tasks, new FeedAccess(feed, options), options);
        RequestDelegate handle = http => ErrorAnswers.Guard(http, _ => RouteAsync(http, api));
        foreach (var name in (string[])["indexes", "tasks", "health", "version", "stats", "metrics", .. Elsewhere])
        {
            app.Map($"/{name}", handle);
            app.Map($"/{name}/{{**rest}}", handle);
        }
    }

    private static Task RouteAsync(HttpContext http, ApiContext api)
    {
        var parts = RawPath.Parts(http);
        var method = http.Request.Method;
        return parts switch
        {
            ["indexes"] => method switch
            {
                "GET" => IndexRoutes.ListAsync(http, api),
                "POST" => IndexRoutes.CreateAsync(http, api),
                _ => throw WrongMethod(http, "GET", "POST"),
            },
            ["indexes", var uid] => method switch
            {
                "GET" => IndexRoutes.GetAsync(http, api, uid),
                "PATCH" => IndexRoutes.UpdateAsync(http, api, uid),
                "DELETE" => IndexRoutes.DeleteAsync(http, api, uid),
                _ => throw WrongMethod(http, "GET", "PATCH", "DELETE"),
            },
            ["indexes", var uid, "stats"] => Only(http, "GET", () => StatusRoutes.IndexAsync(http, api, uid)),
            ["indexes", var uid, "changes"] => method switch
            {
                "GET" or "POST" => ChangeRoutes.ReadAsync(http, api, uid),
                _ => throw WrongMethod(http, "GET", "POST"),
            },
            ["indexes", var uid, "documents"] => method switch
            {
                "GET" => ReadRoutes.ListAsync(http, api, uid),
                "POST" => WriteRoutes.AddAsync(http, api, uid, WriteIntent.Replace),
                "PUT" => WriteRoutes.AddAsync(http, api, uid, WriteIntent.Merge),
                "DELETE" => WriteRoutes.DeleteAllAsync(http, api, uid),
                _ => throw WrongMethod(http, "GET", "POST", "PUT", "DELETE"),
            },
            // Also the ids of documents, which POST does not name.
            ["indexes", var uid, "documents", "fetch"] when method == "POST" => ReadRoutes.FetchAsync(http, api, uid),
            ["indexes", var uid, "documents", "delete-batch"] when method == "POST" => WriteRoutes.DeleteBatchAsync(
                http,
                api,
                uid
            ),
            ["indexes", _, "documents", "delete" or "edit"] when method == "POST" => throw NotImplemented(http),
            ["indexes", var uid, "documents", var id] => method switch
            {
                "GET" => ReadRoutes.GetOneAsync(http, api, uid, id),
                "DELETE" => WriteRoutes.DeleteOneAsync(http, api, uid, id),
                _ => throw WrongMethod(http, "GET", "DELETE"),
            },
            ["indexes", _, "search" or "facet-search" or "similar" or "settings" or "compact" or "fields", ..] =>
                throw NotImplemented(http),
            ["tasks"] when method is "GET" => TaskRoutes.ListAsync(http, api),
            ["tasks"] => throw NotImplemented(http),
            ["tasks", "cancel"] => throw NotImplemented(http),
            ["tasks", var uid] => Only(http, "GET", () => TaskRoutes.GetAsync(http, api, uid)),
            ["health"] => Only(http, "GET", () => StatusRoutes.HealthAsync(http)),
            ["version"] => Only(http, "GET", () => StatusRoutes.VersionAsync(http, api)),
            ["metrics"] => Only(http, "GET", () => StatusRoutes.MetricsAsync(http, api)),
            ["stats"] => Only(http, "GET", () => StatusRoutes.AllAsync(http, api)),
            [var first, ..] when Elsewhere.Contains(first) => throw NotImplemented(http),
            _ => throw new RefusedException("not_found", $"there is no route {Shown(http)}"),
        };
    }

    private static Task Only(HttpContext http, string method, Func<Task> handler) =>
        http.Request.Method == method ? handler() : throw WrongMethod(http, method);

    private static RefusedException WrongMethod(HttpContext http, params string[] allowed)
    {
        http.Response.Headers.Allow = string.Join(", ", allowed);
        return new("method_not_allowed", $"{Shown(http)} is not allowed: expected {string.Join(", ", allowed)}");
    }

    private static RefusedException NotImplemented(HttpContext http) =>
        new(
            "not_implemented",
            $"{Shown(http)} is not offered: Miroir keeps documents only, without search, settings, keys or dumps"
        );

    private static string Shown(HttpContext http) =>
        $"{http.Request.Method} {JsonText.Shown(http.Request.Path.Value ?? "", 200)}";
}
