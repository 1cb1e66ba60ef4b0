-- Why: a message is written once and read seldom, and what a write costs is the pages it changes. A key that
-- begins with the tenant changes a page of its own for every message; one that begins with the message's
-- id, which grows with time, goes on where the last one ended. Chats are found in the history of their session.

ALTER TABLE messages DROP CONSTRAINT messages_pkey;
ALTER TABLE messages ADD CONSTRAINT messages_pkey PRIMARY KEY (id, tenant_id);
DROP INDEX messages_chat;
