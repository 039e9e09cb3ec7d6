//! rig's transport over any service, here a hyper client with the layer around it.

use std::future::Future;

use bytes::Bytes;
use futures_util::TryStreamExt as _;
use headroom_tests::client::{HttpClient, http};
use headroom_tower::{BoxError, Headroom, HeadroomLayer, RequestBody};
use http::{HeaderValue, Request, Response, header};
use http_body::Body;
use http_body_util::{BodyDataStream, BodyExt as _, Full};
use rig::{
    http_client::{Error, HttpClientExt, LazyBody, MultipartForm, Result, StreamingResponse},
    wasm_compat::WasmCompatSend,
};
use tower::{Layer as _, ServiceExt as _};

/// Clones share connections, and the layer's stores.
#[derive(Clone, Debug)]
pub(crate) struct HeadroomHttp {
    service: Headroom<HttpClient<RequestBody<Full<Bytes>>>>,
}

impl HeadroomHttp {
    pub(crate) fn new(layer: &HeadroomLayer) -> Self {
        Self { service: layer.layer(http()) }
    }

    /// The response; one that is no success is an error, as rig wants it.
    async fn answer(
        self,
        request: Request<Bytes>,
    ) -> Result<Response<impl Body<Data = Bytes, Error = BoxError> + Send + 'static>> {
        let response = self.service.oneshot(request.map(Full::new)).await.map_err(Error::instance)?;
        if response.status().is_success() {
            return Ok(response);
        }
        let (head, body) = response.into_parts();
        let text = body.collect().await.map_err(Error::Instance)?.to_bytes();
        let text = String::from_utf8_lossy(&text).into_owned();
        Err(Error::non_success_with_details(head.status, head.headers, text))
    }
}

impl HttpClientExt for HeadroomHttp {
    fn send<T, U>(
        &self,
        request: Request<T>,
    ) -> impl Future<Output = Result<Response<LazyBody<U>>>> + WasmCompatSend + 'static
    where
        T: Into<Bytes> + WasmCompatSend,
        U: From<Bytes> + WasmCompatSend + 'static,
    {
        let answer = self.clone().answer(request.map(Into::into));
        async move {
            let lazy = |body| -> LazyBody<U> { Box::pin(whole(body)) };
            Ok(answer.await?.map(lazy))
        }
    }

    fn send_multipart<U>(
        &self,
        request: Request<MultipartForm>,
    ) -> impl Future<Output = Result<Response<LazyBody<U>>>> + WasmCompatSend + 'static
    where
        U: From<Bytes> + WasmCompatSend + 'static,
    {
        let (mut head, form) = request.into_parts();
        let (boundary, body) = form.encode();
        let kind = HeaderValue::try_from(format!("multipart/form-data; boundary={boundary}"));
        let sent = kind.map(|kind| {
            head.headers.insert(header::CONTENT_TYPE, kind);
            self.send(Request::from_parts(head, body))
        });
        async move { sent.map_err(Error::instance)?.await }
    }

    fn send_streaming<T>(
        &self,
        request: Request<T>,
    ) -> impl Future<Output = Result<StreamingResponse>> + WasmCompatSend
    where
        T: Into<Bytes> + WasmCompatSend,
    {
        let answer = self.clone().answer(request.map(Into::into));
        async move {
            let response = answer.await?;
            Ok(response.map(|body| Box::pin(BodyDataStream::new(body).map_err(Error::Instance)) as _))
        }
    }
}

async fn whole<U: From<Bytes>>(body: impl Body<Data = Bytes, Error = BoxError>) -> Result<U> {
    Ok(body.collect().await.map_err(Error::Instance)?.to_bytes().into())
}
