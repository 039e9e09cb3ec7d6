//! An MCP server with one tool, whose results are long.

use headroom_tests::investigation;
use rmcp::{
    ErrorData, RoleServer, ServerHandler,
    model::{
        CallToolRequestMethod, CallToolRequestParams, CallToolResponse, CallToolResult, ContentBlock,
        ListToolsResult, PaginatedRequestParams, ServerCapabilities, ServerConfig, Tool,
    },
    service::RequestContext,
};

/// Reads logs.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Logs;

impl ServerHandler for Logs {
    fn get_info(&self) -> ServerConfig {
        ServerConfig::new(ServerCapabilities::builder().enable_tools().build())
    }

    async fn list_tools(
        &self,
        _: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, ErrorData> {
        let schema = investigation::parameters().as_object().cloned().unwrap_or_default();
        let tool = Tool::new(investigation::TOOL, investigation::PURPOSE, schema);
        Ok(ListToolsResult::with_all_items(vec![tool]))
    }

    async fn call_tool(
        &self,
        request: CallToolRequestParams,
        _: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        if request.name != investigation::TOOL {
            return Err(ErrorData::method_not_found::<CallToolRequestMethod>());
        }
        let log = ContentBlock::text(investigation::log());
        Ok(CallToolResponse::Complete(CallToolResult::success(vec![log])))
    }
}
