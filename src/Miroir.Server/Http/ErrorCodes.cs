namespace Miroir.Server.Http;

/// <summary>
/// The codes of the document API and their statuses. docs/errors.md explains each; a test holds the two lists
/// together. Names are stable: append only.
/// </summary>
public static class ErrorCodes
{
    /// <summary>Code to HTTP status. <c>outcome_unknown</c> is seen in tasks only.</summary>
    public static IReadOnlyDictionary<string, int> Statuses { get; } =
        new SortedDictionary<string, int>(StringComparer.Ordinal)
        {
            ["bad_request"] = 400,
            ["coordinator_unavailable"] = 503,
            ["document_not_found"] = 404,
            ["feed_cursor_too_old"] = 410,
            ["feed_unavailable"] = 503,
            ["immutable_index_uid"] = 400,
            ["index_already_exists"] = 409,
            ["index_is_moving"] = 409,
            ["index_not_found"] = 404,
            ["index_primary_key_already_exists"] = 400,
            ["index_primary_key_multiple_candidates_found"] = 400,
            ["index_primary_key_no_candidate_found"] = 400,
            ["internal"] = 500,
            ["invalid_condition"] = 400,
            ["invalid_consistency"] = 400,
            ["invalid_content_type"] = 415,
            ["invalid_document_fields"] = 400,
            ["invalid_document_id"] = 400,
            ["invalid_document_ids"] = 400,
            ["invalid_document_limit"] = 400,
            ["invalid_document_offset"] = 400,
            ["invalid_feed_cursor"] = 400,
            ["invalid_feed_from"] = 400,
            ["invalid_feed_limit"] = 400,
            ["invalid_feed_wait"] = 400,
            ["invalid_index_limit"] = 400,
            ["invalid_index_offset"] = 400,
            ["invalid_index_primary_key"] = 400,
            ["invalid_index_uid"] = 400,
            ["invalid_operation_id"] = 400,
            ["invalid_replication"] = 400,
            ["invalid_shard_count"] = 400,
            ["invalid_shards"] = 400,
            ["invalid_task_date"] = 400,
            ["invalid_task_from"] = 400,
            ["invalid_task_index_uids"] = 400,
            ["invalid_task_limit"] = 400,
            ["invalid_task_statuses"] = 400,
            ["invalid_task_types"] = 400,
            ["invalid_task_uids"] = 400,
            ["malformed_payload"] = 400,
            ["method_not_allowed"] = 405,
            ["missing_content_type"] = 415,
            ["missing_document_id"] = 400,
            ["missing_index_uid"] = 400,
            ["missing_payload"] = 400,
            ["no_placement"] = 409,
            ["no_space_left_on_device"] = 507,
            ["not_found"] = 404,
            ["not_implemented"] = 501,
            ["not_leader"] = 503,
            ["outcome_unknown"] = 504,
            ["payload_too_large"] = 413,
            ["precondition_failed"] = 412,
            ["reserved_field"] = 400,
            ["shard_unavailable"] = 503,
            ["task_not_found"] = 404,
            ["unavailable"] = 503,
        };
}
