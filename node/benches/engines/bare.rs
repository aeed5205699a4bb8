//! tantivy with nothing of ours: its own collectors count, and take the first ids in order.

use std::path::Path;

use tantivy::collector::{Count, TopDocs};
use tantivy::query::{BooleanQuery, Occur, Query, TermQuery};
use tantivy::schema::{Field, IndexRecordOption, STRING, Schema, TextFieldIndexing, TextOptions};
use tantivy::{Index, IndexReader, IndexWriter, Order, TantivyDocument, Term};

use super::{Answer, PAGE, Row, codes};
use crate::support::corpus::Asked;

const WRITER_BYTES: usize = 48_000_000;

pub(crate) struct Bare {
    index: Index,
    writer: Option<IndexWriter>,
    reader: Option<IndexReader>,
    id: Field,
    texts: [Field; 3],
    code: Field,
}

impl Bare {
    pub(crate) fn new(folder: &Path) -> Self {
        let mut schema = Schema::builder();
        let indexed = |tokenizer, option| {
            let indexing = TextFieldIndexing::default()
                .set_tokenizer(tokenizer)
                .set_fieldnorms(false)
                .set_index_option(option);
            TextOptions::default().set_indexing_options(indexing)
        };
        let words = indexed("whitespace", IndexRecordOption::WithFreqsAndPositions);
        let id = schema.add_text_field("id", STRING.set_fast("raw"));
        let texts = ["name", "summary", "description"]
            .map(|part| schema.add_text_field(part, words.clone()));
        let code = schema.add_text_field("code", indexed("raw", IndexRecordOption::Basic));
        std::fs::create_dir_all(folder).unwrap();
        let index = Index::create_in_dir(folder, schema.build()).unwrap();
        let writer = index.writer_with_num_threads(2, WRITER_BYTES).unwrap();
        Self {
            index,
            writer: Some(writer),
            reader: None,
            id,
            texts,
            code,
        }
    }

    pub(crate) fn put(&mut self, rows: &[Row]) {
        let writer = self.writer.as_mut().unwrap();
        for row in rows {
            let mut document = TantivyDocument::new();
            document.add_text(self.id, &row.id);
            for (field, text) in self.texts.iter().zip(&row.texts) {
                document.add_text(*field, text);
            }
            for code in &row.codes {
                document.add_text(self.code, code);
            }
            writer.add_document(document).unwrap();
        }
        writer.commit().unwrap();
    }

    pub(crate) fn finish(&mut self) {
        self.writer.take().unwrap().wait_merging_threads().unwrap();
        self.reader = Some(self.index.reader().unwrap());
    }

    pub(crate) fn segments(&self) -> usize {
        self.reader
            .as_ref()
            .unwrap()
            .searcher()
            .segment_readers()
            .len()
    }

    pub(crate) fn search(&self, asked: &Asked) -> Answer {
        let term = |field, text: &str| -> Box<dyn Query> {
            let term = Term::from_field_text(field, text);
            Box::new(TermQuery::new(term, IndexRecordOption::Basic))
        };
        let any = |word: &String| -> Box<dyn Query> {
            let places = self
                .texts
                .iter()
                .map(|field| (Occur::Should, term(*field, word)));
            Box::new(BooleanQuery::new(places.collect()))
        };
        let codes = codes(asked.area, asked.country);
        let codes = codes.iter().map(|code| term(self.code, code));
        let all = asked.words.iter().map(any).chain(codes);
        let query = BooleanQuery::new(all.map(|clause| (Occur::Must, clause)).collect());
        let first = TopDocs::with_limit(PAGE).order_by_string_fast_field("id", Order::Asc);
        let searcher = self.reader.as_ref().unwrap().searcher();
        let (total, first) = searcher.search(&query, &(Count, first)).unwrap();
        Answer {
            total: total as u64,
            ids: first.into_iter().map(|(id, _)| id.unwrap()).collect(),
        }
    }
}
