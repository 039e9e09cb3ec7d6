//! Ranking by meaning: a static embedding model.

use std::{fmt, sync::Arc};

use serde_json::Value;
use tokenizers::Tokenizer;

use super::{Query, Relevance, Scorer};

/// So many bytes of a text say what it is about.
const MAX_TEXT: usize = 4096;

/// Scores by the cosine of mean-pooled word vectors: a static embedding model as model2vec writes
/// it, read from the user's own bytes. Nothing is fetched, and the same model gives the same bits on
/// every machine.
#[derive(Clone)]
pub struct EmbeddingScorer {
    tokenizer: Tokenizer,
    vectors: Arc<[f32]>,
    /// What each token's vector is multiplied with; empty if with 1.
    weights: Arc<[f32]>,
    width: usize,
    unknown: Option<u32>,
    identity: String,
}

/// The bytes are not a static embedding model.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ModelError {
    /// The first bytes are not a `tokenizer.json`.
    #[error("not a usable tokenizer.json: {0}")]
    Tokenizer(String),
    /// The other bytes are not a safetensors file.
    #[error("not a safetensors file: {0}")]
    Format(&'static str),
    /// The tensor is missing or of another type or shape.
    #[error("the tensor {name}: {problem}")]
    Tensor {
        /// Its name.
        name: &'static str,
        /// What is wrong with it.
        problem: &'static str,
    },
}

impl EmbeddingScorer {
    /// A scorer from the bytes of a `tokenizer.json` and of a safetensors file with a tensor
    /// `embeddings` of one row a token (F32, F16 or F64) and, if there is one, `weights` of one
    /// number a token.
    ///
    /// # Errors
    /// If the bytes are anything else.
    pub fn from_bytes(tokenizer: &[u8], safetensors: &[u8]) -> Result<Self, ModelError> {
        let wrong = |error: &dyn fmt::Display| ModelError::Tokenizer(error.to_string());
        let mut hasher = blake3::Hasher::new();
        hasher.update(&(tokenizer.len() as u64).to_le_bytes()).update(tokenizer).update(safetensors);
        let identity = format!("embed-{}", &hasher.finalize().to_hex()[..32]);

        let definition: Value = serde_json::from_slice(tokenizer).map_err(|error| wrong(&error))?;
        let mut tokenizer = Tokenizer::from_bytes(tokenizer).map_err(|error| wrong(&error))?;
        tokenizer.with_truncation(None).map_err(|error| wrong(&error))?;
        tokenizer.with_padding(None);
        let unknown = definition.pointer("/model/unk_token").and_then(Value::as_str);
        let unknown = unknown.and_then(|token| tokenizer.token_to_id(token));

        let file = File::read(safetensors)?;
        if file.header.get("mapping").is_some() {
            return Err(ModelError::Tensor { name: "mapping", problem: "is not supported" });
        }
        let (vectors, shape) = file.tensor("embeddings")?.ok_or(missing("embeddings"))?;
        let [rows, width] = shape[..] else {
            return Err(ModelError::Tensor { name: "embeddings", problem: "is not a matrix" });
        };
        if rows == 0 || width == 0 {
            return Err(ModelError::Tensor { name: "embeddings", problem: "is empty" });
        }
        let weights = match file.tensor("weights")? {
            Some((weights, shape)) if shape == [rows] => weights,
            Some(_) => return Err(ModelError::Tensor { name: "weights", problem: "is of another length" }),
            None => Vec::new(),
        };
        Ok(Self { tokenizer, vectors: vectors.into(), weights: weights.into(), width, unknown, identity })
    }

    /// The mean of the vectors of the text's tokens, of length 1; `None` if there is none.
    fn embed(&self, text: &str) -> Option<Vec<f32>> {
        let mut end = text.len().min(MAX_TEXT);
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        let encoding = self.tokenizer.encode_fast(&text[..end], false).ok()?;
        let mut sum = vec![0.0f32; self.width];
        for id in encoding.get_ids().iter().filter(|id| Some(**id) != self.unknown) {
            let start = (*id as usize).saturating_mul(self.width);
            let Some(vector) = self.vectors.get(start..start.saturating_add(self.width)) else { continue };
            let weight = self.weights.get(*id as usize).copied().unwrap_or(1.0);
            sum.iter_mut().zip(vector).for_each(|(sum, value)| *sum += weight * value);
        }
        let length = sum.iter().map(|value| value * value).sum::<f32>().sqrt();
        (length > 0.0 && length.is_finite()).then(|| sum.into_iter().map(|value| value / length).collect())
    }
}

impl Scorer for EmbeddingScorer {
    fn identity(&self) -> String {
        self.identity.clone()
    }

    fn score(&self, query: &Query, documents: &[&str]) -> Relevance {
        let asked = self.embed(query.text());
        let cosine = |text: &&str| {
            let (asked, found) = (asked.as_ref()?, self.embed(text)?);
            Some(asked.iter().zip(&found).map(|(a, b)| a * b).sum::<f32>())
        };
        let scores = documents.iter().map(|text| cosine(text).unwrap_or(0.0)).collect();
        Relevance::new(query, documents, scores)
    }
}

impl fmt::Debug for EmbeddingScorer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EmbeddingScorer")
            .field("identity", &self.identity)
            .field("width", &self.width)
            .finish_non_exhaustive()
    }
}

fn missing(name: &'static str) -> ModelError {
    ModelError::Tensor { name, problem: "is missing" }
}

/// Numbers, and their shape.
type Tensor = (Vec<f32>, Vec<usize>);

/// A safetensors file: the length of its header in 8 bytes, the header as JSON, the numbers.
struct File<'a> {
    header: Value,
    data: &'a [u8],
}

impl<'a> File<'a> {
    fn read(bytes: &'a [u8]) -> Result<Self, ModelError> {
        let (length, rest) = bytes.split_first_chunk::<8>().ok_or(ModelError::Format("it is too short"))?;
        let length = usize::try_from(u64::from_le_bytes(*length)).ok().filter(|length| *length <= rest.len());
        let (header, data) = rest.split_at(length.ok_or(ModelError::Format("its header is cut off"))?);
        let header =
            serde_json::from_slice(header).map_err(|_| ModelError::Format("its header is no JSON"))?;
        Ok(Self { header, data })
    }

    /// The numbers and the shape of a tensor; `None` if there is none of this name.
    fn tensor(&self, name: &'static str) -> Result<Option<Tensor>, ModelError> {
        let Some(tensor) = self.header.get(name) else { return Ok(None) };
        let problem = |problem| ModelError::Tensor { name, problem };
        let numbers = |key: &str| -> Option<Vec<usize>> {
            let list = tensor.get(key)?.as_array()?.iter();
            list.map(|number| usize::try_from(number.as_u64()?).ok()).collect()
        };
        let shape = numbers("shape").ok_or(problem("has no shape"))?;
        let offsets = numbers("data_offsets").ok_or(problem("has no data"))?;
        let [start, end] = offsets[..] else { return Err(problem("has no data")) };
        let bytes = self.data.get(start..end).ok_or(problem("lies outside the file"))?;
        let values: Vec<f32> = match tensor.get("dtype").and_then(Value::as_str) {
            Some("F32") => bytes.as_chunks::<4>().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect(),
            Some("F64") => {
                bytes.as_chunks::<8>().0.iter().map(|bytes| f64::from_le_bytes(*bytes) as f32).collect()
            }
            Some("F16") => {
                bytes.as_chunks::<2>().0.iter().map(|bytes| half(u16::from_le_bytes(*bytes))).collect()
            }
            _ => return Err(problem("is not of type F32, F16 or F64")),
        };
        let count = shape.iter().try_fold(1usize, |count, size| count.checked_mul(*size));
        if count != Some(values.len()) {
            return Err(problem("is not of its shape"));
        }
        if !values.iter().all(|value| value.is_finite()) {
            return Err(problem("is not finite"));
        }
        Ok(Some((values, shape)))
    }
}

/// The value of an IEEE 754 half.
fn half(bits: u16) -> f32 {
    let sign = if bits & 0x8000 > 0 { -1.0 } else { 1.0 };
    let (exponent, fraction) = (i32::from(bits >> 10 & 0x1f), f32::from(bits & 0x3ff));
    match exponent {
        0 => sign * fraction * f32::powi(2.0, -24),
        31 => f32::NAN,
        _ => sign * (1.0 + fraction / 1024.0) * f32::powi(2.0, exponent - 15),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOKENIZER: &str = r#"{"version":"1.0","truncation":null,"padding":null,"added_tokens":[],
        "normalizer":{"type":"Lowercase"},"pre_tokenizer":{"type":"Whitespace"},"post_processor":null,
        "decoder":null,"model":{"type":"WordLevel","vocab":{"[UNK]":0,"car":1,"truck":2,"cheese":3},
        "unk_token":"[UNK]"}}"#;

    fn file(tensors: &[(&str, &str, &[usize], Vec<u8>)]) -> Vec<u8> {
        let mut data = Vec::new();
        let entries: Vec<String> = tensors
            .iter()
            .map(|(name, kind, shape, bytes)| {
                let start = data.len();
                data.extend(bytes);
                format!(
                    r#""{name}":{{"dtype":"{kind}","shape":{shape:?},"data_offsets":[{start},{}]}}"#,
                    data.len()
                )
            })
            .collect();
        let header = format!("{{{}}}", entries.join(","));
        [&(header.len() as u64).to_le_bytes()[..], header.as_bytes(), &data].concat()
    }

    fn floats(values: &[f32]) -> Vec<u8> {
        values.iter().flat_map(|value| value.to_le_bytes()).collect()
    }

    const VECTORS: [f32; 8] = [9.0, 9.0, 1.0, 0.1, 0.9, 0.2, 0.0, 1.0];

    #[test]
    fn likes_what_means_the_same() {
        let model = file(&[("embeddings", "F32", &[4, 2], floats(&VECTORS))]);
        let scorer = EmbeddingScorer::from_bytes(TOKENIZER.as_bytes(), &model).unwrap();
        let query = Query::new(["Which car?"]);
        let found = scorer.score(&query, &["a truck", "some cheese", "nothing known"]);
        assert!(found.score(0) > 0.9 && found.score(1) < 0.2, "{found:?}");
        assert_eq!(found.score(2).to_bits(), 0.0f32.to_bits());
        let again = EmbeddingScorer::from_bytes(TOKENIZER.as_bytes(), &model).unwrap();
        assert_eq!(again.identity(), scorer.identity());
        assert_eq!(again.score(&query, &["a truck"]).score(0).to_bits(), found.score(0).to_bits());
    }

    #[test]
    fn halves_and_weights_are_read() {
        let halves: Vec<u8> =
            [0u16, 0x3c00, 0xc000, 0x3555].iter().flat_map(|bits| bits.to_le_bytes()).collect();
        let model =
            file(&[("embeddings", "F16", &[4, 1], halves), ("weights", "F32", &[4], floats(&[1.0; 4]))]);
        let scorer = EmbeddingScorer::from_bytes(TOKENIZER.as_bytes(), &model).unwrap();
        assert_eq!(scorer.vectors[..3], [0.0, 1.0, -2.0]);
        assert!((scorer.vectors[3] - 1.0 / 3.0).abs() < 1e-3);
        let other = file(&[("embeddings", "F32", &[4, 2], floats(&VECTORS))]);
        let other = EmbeddingScorer::from_bytes(TOKENIZER.as_bytes(), &other).unwrap();
        assert_ne!(other.identity(), scorer.identity());
    }

    #[test]
    fn says_what_is_wrong() {
        let error = |tokenizer: &str, model: &[u8]| {
            EmbeddingScorer::from_bytes(tokenizer.as_bytes(), model).unwrap_err().to_string()
        };
        let good = file(&[("embeddings", "F32", &[4, 2], floats(&VECTORS))]);
        assert!(error("{}", &good).starts_with("not a usable tokenizer.json: "));
        assert_eq!(error(TOKENIZER, b"abc"), "not a safetensors file: it is too short");
        assert_eq!(error(TOKENIZER, &good[..20]), "not a safetensors file: its header is cut off");
        assert_eq!(error(TOKENIZER, &good[..good.len() - 1]), "the tensor embeddings: lies outside the file");
        let wrong = |kind, shape: &[usize], values: &[f32]| {
            error(TOKENIZER, &file(&[("embeddings", kind, shape, floats(values))]))
        };
        assert!(wrong("I8", &[4, 2], &VECTORS).ends_with("is not of type F32, F16 or F64"));
        assert!(wrong("F32", &[4, 3], &VECTORS).ends_with("is not of its shape"));
        assert!(wrong("F32", &[8], &VECTORS).ends_with("is not a matrix"));
        assert!(wrong("F32", &[0, 2], &[]).ends_with("is empty"));
        assert!(wrong("F32", &[1, 1], &[f32::NAN]).ends_with("is not finite"));
        assert!(error(TOKENIZER, &file(&[])).ends_with("is missing"));
    }
}
