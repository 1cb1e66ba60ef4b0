//! One person, two ids: phone number and LID.
//!
//! WhatsApp names a person by number, by hidden id or by both, and the same message once this way and once that way.
//! So what belongs together is remembered per session as soon as a report says both; from then on the number is
//! the chat. What was stored before is found through what is remembered, and never rewritten.

use super::log::{LogError, MessageLog};
use super::{ChatId, ChatKind};
use crate::id::{SessionId, TenantId};

/// The ids of a person, as far as they are known, as they stand in messages and events.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PersonIds {
    /// The digits of the phone number, with country code.
    pub phone: Option<String>,
    /// The hidden id, `…@lid`.
    pub lid: Option<String>,
}

impl PersonIds {
    /// Collects the ids of one person; what is no person's id is left out.
    #[must_use]
    pub fn of<'t>(ids: impl IntoIterator<Item = &'t str>) -> Self {
        let mut known = Self::default();
        for id in ids.into_iter().filter_map(ChatId::reported) {
            match id.kind() {
                ChatKind::Phone => known.phone = id.phone_digits().map(str::to_owned),
                ChatKind::Lid => known.lid = Some(id.to_string()),
                ChatKind::Group | ChatKind::Newsletter | ChatKind::Other => {}
            }
        }
        known
    }
}

/// Two ids of one person, both in canonical form.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct PersonPair {
    /// `…@lid`
    pub lid: String,
    /// `…@s.whatsapp.net`
    pub phone: String,
}

/// The most ids that are looked up at once.
pub const MAX_PERSON_IDS: usize = 4;

/// Whoever a report names: in one form, and perhaps in the other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Party {
    named: ChatId,
    phone: Option<ChatId>,
    lid: Option<ChatId>,
}

impl Party {
    /// Makes a party of the id that a report names and the one that it gives beside it. What is no other form of a
    /// person's id does not count.
    pub(super) fn new(named: ChatId, other: Option<&str>) -> Self {
        let mut party = Self {
            phone: None,
            lid: None,
            named,
        };
        if party.named.is_person() {
            party.add(party.named.clone());
            other
                .and_then(ChatId::reported)
                .into_iter()
                .for_each(|id| party.add(id));
        }
        party
    }

    fn add(&mut self, id: ChatId) {
        let slot = match id.kind() {
            ChatKind::Phone => &mut self.phone,
            ChatKind::Lid => &mut self.lid,
            ChatKind::Group | ChatKind::Newsletter | ChatKind::Other => return,
        };
        slot.get_or_insert(id);
    }

    /// Returns whether it is a person.
    pub(super) const fn is_person(&self) -> bool {
        self.named.is_person()
    }

    /// Takes over the ids of another party that is the same person.
    pub(super) fn unite(&mut self, other: &Self) {
        let ids = [other.phone.clone(), other.lid.clone()];
        ids.into_iter().flatten().for_each(|id| self.add(id));
    }

    /// Takes over what the log remembers of it.
    ///
    /// # Errors
    /// The log cannot be read.
    pub(super) async fn recall(
        &mut self,
        log: &dyn MessageLog,
        (tenant, session): (TenantId, SessionId),
    ) -> Result<(), LogError> {
        let ids: Vec<&str> = self.ids().collect();
        let pairs = log.persons(tenant, session, &ids).await?;
        self.learn(&pairs);
        Ok(())
    }

    /// Takes over what is remembered.
    pub(super) fn learn(&mut self, pairs: &[PersonPair]) {
        let is =
            |id: &Option<ChatId>, text: &str| id.as_ref().is_some_and(|id| id.as_str() == text);
        let mine = pairs
            .iter()
            .find(|pair| is(&self.lid, &pair.lid) || is(&self.phone, &pair.phone));
        let Some(pair) = mine else { return };
        let ids = [&pair.lid, &pair.phone];
        ids.into_iter()
            .filter_map(|id| ChatId::reported(id))
            .for_each(|id| self.add(id));
    }

    /// Returns both ids, if both are known.
    pub(super) fn pair(&self) -> Option<PersonPair> {
        let (lid, phone) = self.lid.as_ref().zip(self.phone.as_ref())?;
        Some(PersonPair {
            lid: lid.to_string(),
            phone: phone.to_string(),
        })
    }

    /// Returns the one id that stands for it: the number, if it is known.
    pub(super) fn id(&self) -> &str {
        let id = self.phone.as_ref().or(self.lid.as_ref());
        id.unwrap_or(&self.named).as_str()
    }

    /// Returns its other id, if it is known.
    pub(super) fn alias(&self) -> Option<&str> {
        self.phone.as_ref()?;
        self.lid.as_ref().map(ChatId::as_str)
    }

    /// Returns every id that it may stand under in the log, the present one first.
    pub(super) fn ids(&self) -> impl Iterator<Item = &str> + Clone {
        std::iter::once(self.id()).chain(self.alias())
    }
}
